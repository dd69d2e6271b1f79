{{- /* The pod of `helm test` is not the control plane: no Service may lead to it. */ -}}
{{- define "nimbus-control-plane.testSelector" -}}
app.kubernetes.io/name: {{ include "nimbus-control-plane.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: test
{{- end -}}
