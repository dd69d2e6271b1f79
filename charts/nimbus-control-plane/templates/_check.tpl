{{- /* What each check says: a line for each thing that is wrong, with what was expected, what was found and what to do. */ -}}

{{- define "nimbus-control-plane.wrong" -}}
{{- printf "\n  - %s: expected %s, found %s; %s" (index . 0) (index . 1) (index . 2) (index . 3) -}}
{{- end -}}

{{- define "nimbus-control-plane.check.replicas" -}}
{{- if ne (toString .Values.replicas) "1" -}}
{{- if not (include "nimbus-control-plane.postgres" .) -}}
{{- include "nimbus-control-plane.wrong" (list "replicas" "1 (two cannot share SQLite on a volume)"
  (toString .Values.replicas) "set it to 1, or name a PostgreSQL database in database.existingSecret") -}}
{{- else if not .Values.keys.existingSecret -}}
{{- include "nimbus-control-plane.wrong" (list "keys.existingSecret"
  (printf "a Secret with the keys that %s replicas share" (toString .Values.replicas)) "none"
  "make the keys with `nimbus keys create DIR` and the Secret with `kubectl create secret generic NAME --from-file=DIR`") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nimbus-control-plane.check.names" -}}
{{- $name := include "nimbus-control-plane.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- $expected := "a name for Services: small letters, digits and hyphens, beginning with a letter" -}}
{{- if .Values.fullnameOverride -}}
{{- include "nimbus-control-plane.wrong" (list "fullnameOverride" $expected (include "nimbus-control-plane.hidden" .Values.fullnameOverride)
  "set it to such a name, or leave it out and give the release such a name") -}}
{{- else if and .Values.nameOverride (not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" .Values.nameOverride)) -}}
{{- include "nimbus-control-plane.wrong" (list "nameOverride" (printf "a part of %s" $expected)
  (include "nimbus-control-plane.hidden" .Values.nameOverride)
  "correct it, or set fullnameOverride, which is used as it is") -}}
{{- else -}}
{{- include "nimbus-control-plane.wrong" (list (printf "the release's name, %s" (quote .Release.Name)) $expected
  (printf "%s, which is made from it" (quote $name)) "choose another release name, or set fullnameOverride") -}}
{{- end -}}
{{- end -}}
{{- if and .Values.fullnameOverride (gt (len .Values.fullnameOverride) 52) -}}
{{- include "nimbus-control-plane.wrong" (list "fullnameOverride" "at most 52 characters"
  (toString (len .Values.fullnameOverride)) "choose a shorter one") -}}
{{- end -}}
{{- range $number, $given := .Values.names -}}
{{- if not (or (include "nimbus-control-plane.isHost" $given) (include "nimbus-control-plane.isAddress" $given)) -}}
{{- include "nimbus-control-plane.wrong" (list (printf "names[%d]" $number) "a DNS name or an IP address"
  (include "nimbus-control-plane.hidden" $given) "leave out https://, the port and brackets, and separate two names by a comma") -}}
{{- end -}}
{{- end -}}
{{- if not (include "nimbus-control-plane.isHost" .Values.clusterDomain) -}}
{{- include "nimbus-control-plane.wrong" (list "clusterDomain" "the cluster's DNS domain, without a dot at an end: the Service's names in the certificate end with it"
  (quote .Values.clusterDomain) "correct it, or leave it out for cluster.local") -}}
{{- end -}}
{{- range $label := keys (include "nimbus-control-plane.selector" . | fromYaml) | sortAlpha -}}
{{- if hasKey $.Values.podLabels $label -}}
{{- include "nimbus-control-plane.wrong" (list "podLabels" (printf "other labels than %s" $label)
  (quote (index $.Values.podLabels $label)) "leave it out: the Services find the pod by it") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nimbus-control-plane.check.config" -}}
{{- if and .Values.config.settings .Values.config.existingConfigMap -}}
{{- include "nimbus-control-plane.wrong" (list "config.settings" "no figures beside config.existingConfigMap"
  (printf "both, the ConfigMap being %s" (include "nimbus-control-plane.named" .Values.config.existingConfigMap))
  "move the figures to that ConfigMap, or leave it out") -}}
{{- end -}}
{{- include "nimbus-control-plane.check.settings" .Values.config.settings -}}
{{- if not (or .Values.config.existingConfigMap (eq .Values.config.existingConfigMapKey "control-plane.toml")) -}}
{{- include "nimbus-control-plane.wrong" (list "config.existingConfigMapKey" "the default, as config.existingConfigMap names no ConfigMap"
  (include "nimbus-control-plane.named" .Values.config.existingConfigMapKey) "name the ConfigMap, or leave the key out") -}}
{{- end -}}
{{- end -}}

{{- define "nimbus-control-plane.check.serviceAccount" -}}
{{- if and .Values.serviceAccount.annotations (not .Values.serviceAccount.create) -}}
{{- include "nimbus-control-plane.wrong" (list "serviceAccount.annotations"
  "none, as serviceAccount.create is false and the account is somebody else's" "some"
  "annotate that account, or let the chart create one") -}}
{{- end -}}
{{- if and .Values.serviceAccount.create (eq (default "" .Values.serviceAccount.name) "default") -}}
{{- include "nimbus-control-plane.wrong" (list "serviceAccount.name"
  "another name than default, as serviceAccount.create is true: each namespace has that account, and all its pods share it" "default"
  "leave it out, or set serviceAccount.create to false") -}}
{{- end -}}
{{- end -}}

{{- /*
What the program refuses at its start of two settings together; the schema has what it refuses of one. Of what is not given its
own default counts, control-plane/core/src/settings.rs.
*/ -}}
{{- define "nimbus-control-plane.check.settings" -}}
{{- $figures := dict "verify_ms" 30000 "verify_timeout_ms" 180000 "backoff_base_ms" 30000 "backoff_max_ms" 1800000
  "job_ttl_ms" 60000 "clock_skew_ms" 60000 -}}
{{- range $name, $figure := . -}}
{{- if hasKey $figures $name -}}{{- $_ := set $figures $name (int64 $figure) -}}{{- end -}}
{{- end -}}
{{- range list (list "verify_timeout_ms" "verify_ms" "includes it") (list "backoff_max_ms" "backoff_base_ms" "is its ceiling") -}}
{{- $most := get $figures (index . 0) | int64 -}}
{{- $least := get $figures (index . 1) | int64 -}}
{{- if lt $most $least -}}
{{- include "nimbus-control-plane.wrong" (list (printf "config.settings.%s" (index . 0))
  (printf "at least config.settings.%s, %d, as it %s" (index . 1) $least (index . 2)) (toString $most) "raise it, or lower the other one") -}}
{{- end -}}
{{- end -}}
{{- /* Helm writes them as YAML, which would say it without a name. */ -}}
{{- range $list := list "quorum" "window" "blackout" -}}
{{- range $number, $one := index ($ | default dict) $list -}}
{{- range $one.clusters -}}
{{- if regexMatch "[\\x{00}-\\x{1f}\\x{7f}-\\x{9f}\\x{fffe}\\x{ffff}]" . -}}
{{- include "nimbus-control-plane.wrong" (list (printf "config.settings.%s[%d].clusters" $list $number) "names without control characters, and without U+FFFE and U+FFFF"
  (include "nimbus-control-plane.hidden" .) "correct it") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $list := list "window" "blackout" -}}
{{- $names := list -}}
{{- range $number, $period := index ($ | default dict) $list -}}
{{- $at := printf "config.settings.%s[%d]" $list $number -}}
{{- if not (regexMatch "^[!-~]([ -~]*[!-~])?$" $period.name) -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.name" $at) "ASCII characters, without a blank at an end"
  (include "nimbus-control-plane.hidden" $period.name) "choose another one") -}}
{{- end -}}
{{- if has $period.name $names -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.name" $at) "a name of its own" (quote $period.name) "choose another one") -}}
{{- end -}}
{{- $names = append $names $period.name -}}
{{- range $field := list "starts" "ends" -}}
{{- with index $period $field -}}
{{- $date := substr 0 10 (toString .) -}}
{{- /* At noon: at midnight the clocks of some places are changed, and helm goes by those of its own. */ -}}
{{- if ne (toDate "2006-01-02 15:04" (printf "%s 12:00" $date) | date "2006-01-02") $date -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.%s" $at $field) "a day that the calendar has" (quote .) "correct it") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $period.starts (ge (toString $period.starts) (toString $period.ends)) -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.ends" $at) "a time after its start" (quote $period.ends) "correct one of the two") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $lifetime := add $figures.job_ttl_ms $figures.clock_skew_ms -}}
{{- if gt $lifetime 3600000 -}}
{{- include "nimbus-control-plane.wrong" (list "config.settings.job_ttl_ms"
  "at most 3600000 together with config.settings.clock_skew_ms: no agent takes a job that is valid for longer" (toString $lifetime)
  "lower one of the two") -}}
{{- end -}}
{{- end -}}

{{- /* The program would take its default in the place of one that it cannot read. */ -}}
{{- define "nimbus-control-plane.check.log" -}}
{{- if not (include "nimbus-control-plane.isFilter" (dict "filter" .Values.log.filter "strict" true)) -}}
{{- include "nimbus-control-plane.wrong" (list "log.filter"
  "off, error, warn, info, debug, trace or 0 to 5 after each equals sign, a name before it, and no blank beside a comma or at an end, as in info,hyper=warn"
  (quote .Values.log.filter) "correct it, or leave it out for info") -}}
{{- end -}}
{{- end -}}
