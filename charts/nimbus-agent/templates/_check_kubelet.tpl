{{- /* How kubelets are verified. See _check.tpl. */ -}}

{{- define "nimbus-agent.check.kubelet" -}}
{{- with .Values.kubelet -}}
{{- if and .insecureSkipVerify .certificateAuthority -}}
{{- include "nimbus-agent.wrong" (list "kubelet.insecureSkipVerify" "false, as kubelet.certificateAuthority names a CA to verify by"
  "true" "leave one of the two out") -}}
{{- end -}}
{{- end -}}
{{- end -}}
