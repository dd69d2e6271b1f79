{{- /* Peers and ports of a NetworkPolicy, where the schema cannot say what is wrong without a riddle. The same in both charts; see _check.tpl. */ -}}

{{- /* Peers: their `name` among the values, and the `peers`. */ -}}
{{- define "nimbus-control-plane.check.peers" -}}
{{- $name := .name -}}
{{- range .peers -}}
{{- if not . -}}
{{- include "nimbus-control-plane.wrong" (list $name "an ipBlock, a podSelector or a namespaceSelector in each peer" "none of them"
  "add one, or leave that peer out") -}}
{{- else if kindIs "map" .ipBlock -}}
{{- if gt (len .) 1 -}}
{{- include "nimbus-control-plane.wrong" (list $name "an ipBlock alone in its peer, as Kubernetes refuses it otherwise" "a selector beside it"
  "make two peers of them") -}}
{{- end -}}
{{- include "nimbus-control-plane.check.block" (dict "name" $name "block" .ipBlock) -}}
{{- end -}}
{{- $peer := . -}}
{{- range $field := list "podSelector" "namespaceSelector" -}}
{{- $selector := index $peer $field | default dict -}}
{{- include "nimbus-control-plane.check.labels" (dict "name" (printf "%s.%s.matchLabels" $name $field) "labels" $selector.matchLabels) -}}
{{- range $selector.matchExpressions -}}
{{- include "nimbus-control-plane.check.labelKey" (dict "name" (printf "%s.%s.matchExpressions" $name $field) "key" .key) -}}
{{- range .values -}}
{{- include "nimbus-control-plane.check.labelValue" (dict "name" (printf "%s.%s.matchExpressions" $name $field) "value" .) -}}
{{- end -}}
{{- if ne (hasSuffix "In" .operator) (not (empty .values)) -}}
{{- include "nimbus-control-plane.wrong" (list $name
  (printf "values in matchExpressions of %s beside the operators In and NotIn, and none beside Exists and DoesNotExist" $field)
  (printf "%s %s values" .operator (ternary "with" "without" (not (empty .values)))) "correct the operator or the values") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Rules: their `name` among the values, the `rules`, and the field that has their peers, the `side`. */ -}}
{{- define "nimbus-control-plane.check.rules" -}}
{{- $values := . -}}
{{- range $number, $rule := .rules -}}
{{- $name := printf "%s[%d]" $values.name $number -}}
{{- include "nimbus-control-plane.check.peers" (dict "name" (printf "%s.%s" $name $values.side) "peers" (index $rule $values.side)) -}}
{{- range $rule.ports -}}
{{- if kindIs "string" .port -}}
{{- if not (include "nimbus-control-plane.isPortName" .port) -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.ports" $name)
  "a number without quotes, or the name of a container's port: at most 15 small letters, digits and single hyphens, one letter at least"
  (quote .port) "write the number from 1 to 65535, or the name") -}}
{{- end -}}
{{- end -}}
{{- if hasKey . "endPort" -}}
{{- if or (kindIs "string" .port) (not .port) -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.ports" $name) "a number in port, the first one, beside endPort, the last one"
  (ternary (quote .port) "none" (kindIs "string" .port)) "write the first number, or leave endPort out") -}}
{{- else if lt (int .endPort) (int .port) -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.ports" $name) (printf "an endPort of at least port, %d" (int .port))
  (int .endPort | toString) "write the first number in port and the last one in endPort") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Is it the name of a port? "true" or nothing. What has only digits is a number in quotes, which Kubernetes refuses. */ -}}
{{- define "nimbus-control-plane.isPortName" -}}
{{- if and (regexMatch "^[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$" .) (regexMatch "[a-z]" .) (not (contains "--" .)) -}}true{{- end -}}
{{- end -}}
