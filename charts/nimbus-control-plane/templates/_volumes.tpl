{{- /* What is mounted, and from where. */ -}}

{{- define "nimbus-control-plane.volumeMounts" -}}
- name: data
  mountPath: /var/lib/nimbus
- name: tmp
  mountPath: /tmp
{{- if include "nimbus-control-plane.configMap" . }}
- name: config
  mountPath: /etc/nimbus
  readOnly: true
{{- end }}
{{- if include "nimbus-control-plane.tlsSecret" . }}
- name: tls
  mountPath: /etc/nimbus-tls
  readOnly: true
{{- end }}
{{- if .Values.keys.existingSecret }}
- name: keys
  mountPath: /etc/nimbus-keys
  readOnly: true
{{- end }}
{{- if .Values.metrics.serviceMonitor.tokenSecret }}
- name: metrics
  mountPath: /etc/nimbus-metrics
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "nimbus-control-plane.volumes" -}}
- name: data
  {{- with include "nimbus-control-plane.claim" . }}
  persistentVolumeClaim:
    claimName: {{ . | quote }}
  {{- else }}
  emptyDir: {}
  {{- end }}
# SQLite sorts what does not fit into memory there.
- name: tmp
  emptyDir:
    sizeLimit: 1Gi
{{- with include "nimbus-control-plane.configMap" . }}
- name: config
  configMap:
    name: {{ . | quote }}
{{- end }}
{{- with include "nimbus-control-plane.tlsSecret" . }}
- name: tls
  secret:
    secretName: {{ . | quote }}
    # For the group, which is the pod's own.
    defaultMode: 0440
{{- end }}
{{- with .Values.keys.existingSecret }}
- name: keys
  secret:
    secretName: {{ . | quote }}
    # For the group, which is the pod's own; the files are root's.
    defaultMode: 0440
{{- end }}
{{- with .Values.metrics.serviceMonitor.tokenSecret }}
- name: metrics
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
