{{- /* The name by which Prometheus knows the control plane: one that is in its certificate. */ -}}
{{- define "nimbus-control-plane.scrapedName" -}}
{{- $inside := printf "%s.%s.svc" (include "nimbus-control-plane.fullname" .) .Release.Namespace -}}
{{- $given := and .Values.names (or .Values.tls.existingSecret
  (and .Values.tls.certManager.enabled (not .Values.tls.certManager.serviceNames))) -}}
{{- if $given -}}{{- first .Values.names -}}{{- else -}}{{- $inside -}}{{- end -}}
{{- end -}}

{{- /* The series of this release, as a ServiceMonitor labels them. */ -}}
{{- define "nimbus-control-plane.series" -}}
namespace={{ .Release.Namespace | quote }}, job={{ include "nimbus-control-plane.fullname" . | quote }}
{{- end -}}
