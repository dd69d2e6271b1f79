{{- /* Labels, annotations and what names labels. What has not their form is not shown. The same in both charts; see _check.tpl. */ -}}

{{- /* Is it the key of a label? "true" or nothing. */ -}}
{{- define "nimbus-control-plane.isLabelKey" -}}
{{- $name := last (splitList "/" .) -}}
{{- $before := trimSuffix $name . -}}
{{- if and (regexMatch "^[0-9A-Za-z]([-_.0-9A-Za-z]{0,61}[0-9A-Za-z])?$" $name) (or (not $before) (include "nimbus-control-plane.isName" (trimSuffix "/" $before))) -}}true{{- end -}}
{{- end -}}

{{- /* Is it the value of a label? "true" or nothing. */ -}}
{{- define "nimbus-control-plane.isLabelValue" -}}
{{- if regexMatch "^([0-9A-Za-z]([-_.0-9A-Za-z]{0,61}[0-9A-Za-z])?)?$" . -}}true{{- end -}}
{{- end -}}

{{- /* A `key` of the value `name`. */ -}}
{{- define "nimbus-control-plane.check.labelKey" -}}
{{- if not (include "nimbus-control-plane.isLabelKey" .key) -}}
{{- include "nimbus-control-plane.wrong" (list .name
  "keys of at most 63 letters, digits, `-`, `_` and `.`, the last three only between others, after a DNS name and a slash if there is one"
  (include "nimbus-control-plane.withoutPassword" .key) "correct it, as in app or example.com/team") -}}
{{- end -}}
{{- end -}}

{{- /* The `value` of a label, of the value `name`. */ -}}
{{- define "nimbus-control-plane.check.labelValue" -}}
{{- if not (include "nimbus-control-plane.isLabelValue" .value) -}}
{{- include "nimbus-control-plane.wrong" (list .name "at most 63 letters, digits, `-`, `_` and `.`, the last three only between others, or nothing"
  (include "nimbus-control-plane.hidden" .value) "correct it; an annotation may have any text") -}}
{{- end -}}
{{- end -}}

{{- /* The `labels` of the value `name`. */ -}}
{{- define "nimbus-control-plane.check.labels" -}}
{{- $name := .name -}}
{{- range $key, $value := .labels -}}
{{- include "nimbus-control-plane.check.labelKey" (dict "name" $name "key" $key) -}}
{{- include "nimbus-control-plane.check.labelValue" (dict "name" (printf "%s.%s" $name $key) "value" (default "" $value)) -}}
{{- end -}}
{{- end -}}

{{- /* What objects are marked with: `labels` and `annotations`, by the names of their values. Kubernetes reads the keys of annotations as in small letters. */ -}}
{{- define "nimbus-control-plane.check.marks" -}}
{{- range $name, $labels := .labels -}}
{{- include "nimbus-control-plane.check.labels" (dict "name" $name "labels" $labels) -}}
{{- end -}}
{{- range $name, $annotations := .annotations -}}
{{- range $key, $_ := $annotations -}}
{{- if not (include "nimbus-control-plane.isLabelKey" (lower $key)) -}}{{- include "nimbus-control-plane.check.labelKey" (dict "name" $name "key" $key) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The schema has the words that Kubernetes has for `operator` and `effect`; what goes together is said here. */ -}}
{{- define "nimbus-control-plane.check.tolerations" -}}
{{- range $number, $toleration := .Values.tolerations -}}
{{- $name := printf "tolerations[%d]" $number -}}
{{- $operator := default "Equal" .operator -}}
{{- if .key -}}
{{- include "nimbus-control-plane.check.labelKey" (dict "name" (printf "%s.key" $name) "key" .key) -}}
{{- else if ne $operator "Exists" -}}
{{- include "nimbus-control-plane.wrong" (list $name "a key, or the operator Exists, which without a key means every taint" "neither" "name the taint's key, or set operator to Exists") -}}
{{- end -}}
{{- if has $operator (list "Gt" "Lt") -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.operator" $name)
  "Equal or Exists, as Kubernetes refuses Gt and Lt unless its feature gate TaintTolerationComparisonOperators is on" (quote $operator)
  "name the taint's value with Equal, or take each value with Exists") -}}
{{- end -}}
{{- if and .value (eq $operator "Exists") -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.value" $name) "none beside the operator Exists" (include "nimbus-control-plane.hidden" .value)
  "leave it out, or set operator to Equal") -}}
{{- else if .value -}}
{{- include "nimbus-control-plane.check.labelValue" (dict "name" (printf "%s.value" $name) "value" .value) -}}
{{- end -}}
{{- if and (not (kindIs "invalid" .tolerationSeconds)) (ne (default "" .effect) "NoExecute") -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.tolerationSeconds" $name) "none beside another effect than NoExecute" (include "nimbus-control-plane.number" .tolerationSeconds)
  "leave it out, or set effect to NoExecute") -}}
{{- end -}}
{{- end -}}
{{- end -}}
