{{- /* How pods are spread over the nodes. The schema has the fields and the words; what goes together is said here. See _check.tpl. */ -}}

{{- define "nimbus-control-plane.check.spread" -}}
{{- $pairs := list -}}
{{- range $number, $spread := .Values.topologySpreadConstraints -}}
{{- $name := printf "topologySpreadConstraints[%d]" $number -}}
{{- $pair := printf "%s, %s" .topologyKey .whenUnsatisfiable -}}
{{- if has $pair $pairs -}}
{{- include "nimbus-control-plane.wrong" (list $name "another topologyKey or another whenUnsatisfiable than those before it" (quote $pair)
  "make one constraint of the two") -}}
{{- end -}}
{{- $pairs = append $pairs $pair -}}
{{- if and .minDomains (ne .whenUnsatisfiable "DoNotSchedule") -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.minDomains" $name) "none beside another whenUnsatisfiable than DoNotSchedule"
  (include "nimbus-control-plane.number" .minDomains) "leave it out, or set whenUnsatisfiable to DoNotSchedule") -}}
{{- end -}}
{{- include "nimbus-control-plane.check.selector" (dict "name" (printf "%s.labelSelector" $name) "selector" .labelSelector) -}}
{{- /* Before 1.34, Kubernetes refuses a key of the labelSelector whether the pod has that label or not. */ -}}
{{- include "nimbus-control-plane.check.labelKeys" (dict "name" $name "term" . "labels" (default list .matchLabelKeys | uniq)) -}}
{{- end -}}
{{- end -}}
