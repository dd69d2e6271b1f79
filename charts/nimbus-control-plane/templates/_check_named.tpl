{{- /*
Which values name an object, or a key in one, and which are labels and annotations. What is said of them is in _check_yours.tpl
and _check_labels.tpl.
*/ -}}

{{- define "nimbus-control-plane.check.yours" -}}
{{- $monitor := .Values.metrics.serviceMonitor -}}
{{- $names := list
  (list "config.existingConfigMap" "ConfigMap" .Values.config.existingConfigMap)
  (list "database.existingSecret" "Secret" .Values.database.existingSecret)
  (list "tls.existingSecret" "Secret" .Values.tls.existingSecret)
  (list "keys.existingSecret" "Secret" .Values.keys.existingSecret)
  (list "persistence.existingClaim" "PersistentVolumeClaim" .Values.persistence.existingClaim)
  (list "backup.existingClaim" "PersistentVolumeClaim" .Values.backup.existingClaim)
  (list "metrics.serviceMonitor.tokenSecret" "Secret" $monitor.tokenSecret)
  (list "metrics.serviceMonitor.caSecret" "Secret" $monitor.caSecret) -}}
{{- $keys := list
  (list "config.existingConfigMapKey" "ConfigMap" .Values.config.existingConfigMapKey)
  (list "database.existingSecretKey" "Secret" .Values.database.existingSecretKey)
  (list "metrics.serviceMonitor.tokenSecretKey" "Secret" $monitor.tokenSecretKey)
  (list "metrics.serviceMonitor.caSecretKey" "Secret" $monitor.caSecretKey) -}}
{{- $others := list
  (list "serviceAccount.name" "a ServiceAccount" .Values.serviceAccount.name "correct it, or leave it out")
  (list "priorityClassName" "a PriorityClass" .Values.priorityClassName "name one that the cluster has, or leave it out")
  (list "tls.certManager.issuerRef.name" "an Issuer or ClusterIssuer" .Values.tls.certManager.issuerRef.name "name one that cert-manager has") -}}
{{- include "nimbus-control-plane.check.named" (dict "names" $names "keys" $keys "others" $others) -}}
{{- end -}}

{{- /* Of what is switched off nobody reads them. */ -}}
{{- define "nimbus-control-plane.check.marked" -}}
{{- $labels := dict "commonLabels" .Values.commonLabels "podLabels" .Values.podLabels "nodeSelector" .Values.nodeSelector
  "services.operators.labels" .Values.services.operators.labels "services.agents.labels" .Values.services.agents.labels -}}
{{- $annotations := dict "annotations" .Values.annotations "podAnnotations" .Values.podAnnotations
  "services.operators.annotations" .Values.services.operators.annotations "services.agents.annotations" .Values.services.agents.annotations
  "serviceAccount.annotations" .Values.serviceAccount.annotations -}}
{{- if and (include "nimbus-control-plane.claim" .) (not .Values.persistence.existingClaim) -}}
{{- $_ := set $annotations "persistence.annotations" .Values.persistence.annotations -}}
{{- end -}}
{{- range $name := list "serviceMonitor" "prometheusRule" "dashboard" -}}
{{- $part := index $.Values.metrics $name -}}
{{- if $part.enabled -}}{{- $_ := set $labels (printf "metrics.%s.labels" $name) $part.labels -}}{{- end -}}
{{- end -}}
{{- if .Values.metrics.dashboard.enabled -}}
{{- $_ := set $annotations "metrics.dashboard.annotations" .Values.metrics.dashboard.annotations -}}
{{- end -}}
{{- include "nimbus-control-plane.check.marks" (dict "labels" $labels "annotations" $annotations) -}}
{{- end -}}
