{{- /* Which values name an object, or a key in one. What is said of them is in _check_yours.tpl. */ -}}

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
