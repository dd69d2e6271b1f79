{{- /* How the program is started. */ -}}

{{- define "nimbus-control-plane.args" -}}
# Below the volume's root and not in it: the kubelet opens the root to the group, and the control plane closes its
# own directory to everybody else.
- --data-dir=/var/lib/nimbus/data
- --listen={{ include "nimbus-control-plane.listen" (dict "address" .Values.listenAddress "port" 7070) }}
- --quic={{ include "nimbus-control-plane.listen" (dict "address" .Values.listenAddress "port" 7071) }}
{{- if not (include "nimbus-control-plane.overTcp" .) }}
- --no-tcp
{{- end }}
{{- $own := printf "%s.%s.svc:%d" (include "nimbus-control-plane.agents" .) .Release.Namespace (int .Values.services.agents.port) }}
- --advertise={{ default $own .Values.services.advertise }}
{{- range include "nimbus-control-plane.serviceNames" . | fromYamlArray }}
- --name={{ . }}
{{- end }}
{{- range .Values.names }}
- {{ printf "--name=%s" . | quote }}
{{- end }}
- --max-connections={{ int64 .Values.maxConnections }}
- --log-format={{ .Values.log.format }}
{{- if include "nimbus-control-plane.configMap" . }}
- --config=/etc/nimbus/{{ .Values.config.existingConfigMapKey }}
{{- end }}
{{- if include "nimbus-control-plane.tlsSecret" . }}
- --tls-cert=/etc/nimbus-tls/tls.crt
- --tls-key=/etc/nimbus-tls/tls.key
{{- end }}
{{- if .Values.keys.existingSecret }}
- --keys=/etc/nimbus-keys
{{- end }}
{{- if include "nimbus-control-plane.standBy" . }}
- --stand-by
{{- end }}
{{- if .Values.metrics.serviceMonitor.tokenSecret }}
- --metrics-token-file=/etc/nimbus-metrics/{{ .Values.metrics.serviceMonitor.tokenSecretKey }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "nimbus-control-plane.env" -}}
- name: RUST_LOG
  value: {{ .Values.log.filter | quote }}
{{- with include "nimbus-control-plane.databaseEnv" . }}
{{ . }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /*
The server speaks TLS on every address but loopback, and looks at the Host header only without TLS: so the kubelet asks
by HTTPS at the pod's address, without a header of its own. It does not check the certificate.
*/ -}}
{{- define "nimbus-control-plane.probes" -}}
{{- $times := dict "periodSeconds" (int .periodSeconds) "timeoutSeconds" (int .timeoutSeconds) -}}
{{- $alive := dict "path" "/healthz" "port" "rest" "scheme" "HTTPS" -}}
{{- $ready := dict "path" "/readyz" "port" "rest" "scheme" "HTTPS" -}}
{{- /* Every two seconds, so that a start that takes three is not noticed after ten. */ -}}
{{- $starts := div (add 1 (int .startSeconds)) 2 -}}
startupProbe:
  {{- merge (dict "httpGet" $alive "periodSeconds" 2 "failureThreshold" $starts) $times | toYaml | nindent 2 }}
livenessProbe:
  {{- merge (dict "httpGet" $alive "failureThreshold" (int .livenessFailures)) $times | toYaml | nindent 2 }}
readinessProbe:
  {{- merge (dict "httpGet" $ready) $times | toYaml | nindent 2 }}
{{- end -}}

{{- /* Where PostgreSQL is; nothing on SQLite. */ -}}
{{- define "nimbus-control-plane.databaseEnv" -}}
{{- if .Values.database.existingSecret -}}
- name: NIMBUS_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.database.existingSecret | quote }}
      key: {{ .Values.database.existingSecretKey | quote }}
{{- else if .Values.database.url -}}
- name: NIMBUS_DATABASE_URL
  value: {{ .Values.database.url | quote }}
{{- end }}
{{- end -}}
