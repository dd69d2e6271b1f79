{{- /* What figures say of each other. What is no figure that is known here is left to Kubernetes. The same in both charts; see _check.tpl. */ -}}

{{- /* A number as it was written: one from a file is a float64, which would be shown as 1.34217728e+08. */ -}}
{{- define "nimbus-agent.number" -}}
{{- if kindIs "float64" . -}}{{- regexReplaceAll "[.]?0+$" (printf "%f" .) "" -}}{{- else -}}{{- toString . -}}{{- end -}}
{{- end -}}

{{- /* A quantity of Kubernetes in thousandths, so that `m` is whole; nothing where its unit is none of these. */ -}}
{{- define "nimbus-agent.quantity" -}}
{{- $text := include "nimbus-agent.number" . -}}
{{- if regexMatch "^[0-9]+([.][0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$" $text -}}
{{- $units := dict "m" 1.0 "" 1e3 "k" 1e6 "M" 1e9 "G" 1e12 "T" 1e15 "P" 1e18
  "Ki" 1024e3 "Mi" 1048576e3 "Gi" 1073741824e3 "Ti" 1099511627776e3 "Pi" 1125899906842624e3 -}}
{{- mulf (regexFind "^[0-9.]+" $text | float64) (get $units (regexFind "[A-Za-z]*$" $text)) | printf "%f" -}}
{{- end -}}
{{- end -}}

{{- /* Of a container: its `name` among the values, and its `resources`. */ -}}
{{- define "nimbus-agent.check.resources" -}}
{{- $name := .name -}}
{{- range $part := list "limits" "requests" -}}
{{- range $what, $amount := default dict (get $.resources $part) -}}
{{- if kindIs "invalid" $amount -}}
{{- include "nimbus-agent.wrong" (list (printf "%s.%s.%s" $name $part $what) "an amount, as Kubernetes takes null for 0" "null"
  "leave it out: without an amount there is no such bound") -}}
{{- else if not (regexMatch "^([0-9]+([.][0-9]*)?|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$" (include "nimbus-agent.number" $amount)) -}}
{{- include "nimbus-agent.wrong" (list (printf "%s.%s.%s" $name $part $what) "a quantity such as 128Mi, 500m or 1"
  (include "nimbus-agent.number" $amount | quote) "write a number with one of Kubernetes' units") -}}
{{- end -}}
{{- if not (regexMatch "^(cpu|memory|ephemeral-storage|hugepages-[0-9]+[KMGTPE]i|[^/]+/[^/]+)$" $what) -}}
{{- include "nimbus-agent.wrong" (list (printf "%s.%s.%s" $name $part $what) "cpu, memory, ephemeral-storage, hugepages-SIZE, or a name with a domain"
  (quote $what) "Kubernetes knows no other resource of a container") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $limits := default dict .resources.limits -}}
{{- range $what, $request := default dict .resources.requests -}}
{{- $limit := index $limits $what -}}
{{- $asked := include "nimbus-agent.quantity" $request -}}
{{- $most := include "nimbus-agent.quantity" $limit -}}
{{- if and $asked $most (lt (float64 $most) (float64 $asked)) -}}
{{- include "nimbus-agent.wrong" (list (printf "%s.limits.%s" $name $what)
  (printf "at least what %s.requests.%s asks for, %s" $name $what (include "nimbus-agent.number" $request | quote))
  (include "nimbus-agent.number" $limit | quote) "raise the limit, or lower the request") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The seconds of a duration such as 1h30m; the schema has its form. */ -}}
{{- define "nimbus-agent.seconds" -}}
{{- $units := dict "h" 3600 "m" 60 "s" 1 -}}
{{- $seconds := 0 -}}
{{- range regexFindAll "[0-9]+[hms]" . -1 -}}
{{- $seconds = add $seconds (mul (regexFind "^[0-9]+" . | atoi) (get $units (regexFind "[hms]$" .))) -}}
{{- end -}}
{{- $seconds -}}
{{- end -}}

{{- /* How often Prometheus asks: the `name` of a monitor among the values, and the `monitor`. */ -}}
{{- define "nimbus-agent.check.scrape" -}}
{{- $name := .name -}}
{{- with .monitor -}}
{{- if and .interval .scrapeTimeout -}}
{{- if gt (include "nimbus-agent.seconds" .scrapeTimeout | int64) (include "nimbus-agent.seconds" .interval | int64) -}}
{{- include "nimbus-agent.wrong" (list (printf "%s.scrapeTimeout" $name)
  (printf "at most %s.interval, %s: Prometheus refuses a longer one" $name (quote .interval)) (quote .scrapeTimeout)
  "shorten it, or ask less often") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
