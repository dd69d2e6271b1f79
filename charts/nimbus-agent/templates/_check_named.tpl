{{- /*
Which values name an object, or a key in one, and which are labels and annotations. What is said of them is in _check_yours.tpl
and _check_labels.tpl.
*/ -}}

{{- define "nimbus-agent.check.yours" -}}
{{- $names := list
  (list "join.existingSecret" "Secret" .Values.join.existingSecret)
  (list "policy.existingConfigMap" "ConfigMap" .Values.policy.existingConfigMap) -}}
{{- $keys := list
  (list "join.existingSecretKey" "Secret" .Values.join.existingSecretKey)
  (list "policy.existingConfigMapKey" "ConfigMap" .Values.policy.existingConfigMapKey) -}}
{{- $others := list
  (list "serviceAccount.name" "a ServiceAccount" .Values.serviceAccount.name "correct it, or leave it out")
  (list "priorityClassName" "a PriorityClass" .Values.priorityClassName "name one that the cluster has, or leave it out") -}}
{{- include "nimbus-agent.check.named" (dict "names" $names "keys" $keys "others" $others) -}}
{{- end -}}

{{- /* Of what is switched off nobody reads them. */ -}}
{{- define "nimbus-agent.check.marked" -}}
{{- $labels := dict "commonLabels" .Values.commonLabels "podLabels" .Values.podLabels "nodeSelector" .Values.nodeSelector -}}
{{- $annotations := dict "annotations" .Values.annotations "podAnnotations" .Values.podAnnotations
  "serviceAccount.annotations" .Values.serviceAccount.annotations -}}
{{- range $name := list "podMonitor" "prometheusRule" -}}
{{- $part := index $.Values.metrics $name -}}
{{- if $part.enabled -}}{{- $_ := set $labels (printf "metrics.%s.labels" $name) $part.labels -}}{{- end -}}
{{- end -}}
{{- include "nimbus-agent.check.marks" (dict "labels" $labels "annotations" $annotations) -}}
{{- end -}}
