{{- /* What is mounted, and from where. */ -}}

{{- define "nimbus-agent.volumeMounts" -}}
- name: state
  mountPath: /var/lib/nimbus-agent
- name: policy
  mountPath: /etc/nimbus
  readOnly: true
- name: stop
  mountPath: /etc/nimbus-stop
  readOnly: true
- name: proof
  mountPath: /var/run/secrets/nimbus
  readOnly: true
{{- range $number, $file := .Values.hostAccess.files }}
- name: host-{{ $number }}
  mountPath: {{ $file.path | quote }}
  readOnly: true
{{- end }}
{{- if .Values.hostAccess.units }}
- name: host-bus
  mountPath: /host/run/dbus
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "nimbus-agent.volumes" -}}
- name: state
  emptyDir:
    sizeLimit: {{ .Values.state.sizeLimit }}
# A whole directory: a single file of it would never be renewed.
- name: policy
  configMap:
    name: {{ include "nimbus-agent.policy" . | quote }}
    items:
      - key: {{ .Values.policy.existingConfigMapKey | quote }}
        path: policy.toml
# To stop the agents: a person makes it, and nothing else does. Anything in it stops them.
- name: stop
  configMap:
    name: {{ include "nimbus-agent.stop" . | quote }}
    optional: true
# The kubelet renews it. Whoever steals it has it for an hour at most, and only for the control plane.
- name: proof
  projected:
    sources:
      - serviceAccountToken:
          audience: nimbus-control-plane
          expirationSeconds: 3600
          path: token
{{- range $number, $file := .Values.hostAccess.files }}
- name: host-{{ $number }}
  hostPath:
    path: {{ $file.path | quote }}
    type: {{ default "Directory" $file.type }}
{{- end }}
{{- if .Values.hostAccess.units }}
# A whole directory: a socket of it that is made anew would be another one.
- name: host-bus
  hostPath:
    path: /run/dbus
    type: Directory
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
