{{- /* How kubelets are verified. See _check.tpl. */ -}}

{{- define "nimbus-agent.check.kubelet" -}}
{{- with .Values.kubelet -}}
{{- if and .insecureSkipVerify .certificateAuthority -}}
{{- include "nimbus-agent.wrong" (list "kubelet.insecureSkipVerify" "false, as kubelet.certificateAuthority names a CA to verify by"
  "true" "leave one of the two out") -}}
{{- end -}}
{{- /* Not by a pattern of the schema: that would print a private key that was given by mistake. */ -}}
{{- with .certificateAuthority -}}
{{- if or (not (contains "-----BEGIN CERTIFICATE-----" .)) (contains "PRIVATE KEY-----" .) -}}
{{- include "nimbus-agent.wrong" (list "kubelet.certificateAuthority" "certificates in PEM (-----BEGIN CERTIFICATE-----), and no key beside them"
  (include "nimbus-agent.hidden" .) "give the file of the CA's certificate with --set-file kubelet.certificateAuthority=FILE") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
