{{- /* How the program is started. */ -}}

{{- define "nimbus-agent.env" -}}
- name: NIMBUS_SERVER
  value: {{ .Values.server | quote }}
# Needed as long as the agent lives, not only to join: it has the fingerprint of the control plane's CA.
- name: NIMBUS_JOIN_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ include "nimbus-agent.joinSecret" . | quote }}
      key: {{ include "nimbus-agent.joinKey" . | quote }}
- name: NIMBUS_SERVICE_ACCOUNT_TOKEN
  value: /var/run/secrets/nimbus/token
- name: NIMBUS_IN_CLUSTER
  value: "true"
# Where the volume is; the image names another place.
- name: NIMBUS_DATA_DIR
  value: /var/lib/nimbus-agent
# Its journal ends with the pod; to end takes it 10 s beside that.
- name: NIMBUS_FINISH_JOBS
  value: {{ max 0 (sub (int .Values.terminationGracePeriodSeconds) 15) | quote }}
- name: NIMBUS_POLICY
  value: /etc/nimbus/policy.toml
- name: NIMBUS_STOP_DIR
  value: /etc/nimbus-stop
- name: NIMBUS_TELEMETRY
  value: {{ printf "%s:%d" (ternary "[::]" .Values.telemetry.listenAddress (eq .Values.telemetry.listenAddress "::")) (int .Values.telemetry.port) | quote }}
- name: NIMBUS_LOG_FORMAT
  value: {{ .Values.log.format }}
- name: RUST_LOG
  value: {{ .Values.log.filter | quote }}
- name: NIMBUS_KUBELET_PORT
  value: {{ int .Values.kubelet.port | quote }}
{{- with .Values.kubelet.certificateAuthority }}
- name: NIMBUS_KUBELET_CA
  value: {{ . | quote }}
{{- end }}
{{- if .Values.kubelet.insecureSkipVerify }}
- name: NIMBUS_KUBELET_INSECURE_SKIP_VERIFY
  value: "true"
{{- end }}
{{- if .Values.read.tlsSecrets }}
- name: NIMBUS_TLS_SECRETS
  value: "true"
{{- end }}
{{- with .Values.hostAccess.files }}
{{- $paths := list }}
{{- range . }}{{ $paths = append $paths .path }}{{ end }}
- name: NIMBUS_WATCH
  value: {{ join ":" $paths | quote }}
{{- end }}
{{- /* Without a bus the agent would look for one where the image has none. */}}
- name: NIMBUS_SYSTEM_BUS
  value: {{ if .Values.hostAccess.units }}"/host/run/dbus/system_bus_socket"{{ else }}""{{ end }}
{{- $fields := list
  (list "NIMBUS_AGENT_NAME" "spec.nodeName")
  (list "NIMBUS_NODE" "spec.nodeName")
  (list "NIMBUS_NODE_IP" "status.hostIP")
  (list "NIMBUS_POD_NAME" "metadata.name")
  (list "NIMBUS_POD_NAMESPACE" "metadata.namespace")
  (list "NIMBUS_POD_UID" "metadata.uid") }}
{{- range $fields }}
- name: {{ index . 0 | quote }}
  valueFrom:
    fieldRef:
      fieldPath: {{ index . 1 }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "nimbus-agent.probes" -}}
{{- $times := dict "periodSeconds" (int .periodSeconds) "timeoutSeconds" (int .timeoutSeconds) -}}
{{- $alive := dict "path" "/healthz" "port" "telemetry" "scheme" "HTTP" -}}
{{- $ready := dict "path" "/readyz" "port" "telemetry" "scheme" "HTTP" -}}
{{- /* Every two seconds, so that a start that takes three is not noticed after ten. */ -}}
{{- $starts := div (add 1 (int .startSeconds)) 2 -}}
startupProbe:
  {{- merge (dict "httpGet" $alive "periodSeconds" 2 "failureThreshold" $starts) $times | toYaml | nindent 2 }}
livenessProbe:
  {{- merge (dict "httpGet" $alive "failureThreshold" (int .livenessFailures)) $times | toYaml | nindent 2 }}
readinessProbe:
  {{- merge (dict "httpGet" $ready) $times | toYaml | nindent 2 }}
{{- end -}}

{{- /*
A bus lets in only users that the node knows, and every node knows 65534, nobody. That user takes the place of the chart's own; one that
values give stays.
*/ -}}
{{- define "nimbus-agent.containerSecurity" -}}
{{- $security := deepCopy .Values.securityContext -}}
{{- $given := not (kindIs "invalid" $security.runAsUser) -}}
{{- $pod := .Values.podSecurityContext.runAsUser -}}
{{- $own := or (kindIs "invalid" $pod) (eq (toString (int (default 0 $pod))) "65532") -}}
{{- if and .Values.hostAccess.units $own (not $given) -}}{{- $_ := set $security "runAsUser" 65534 -}}{{- end -}}
{{- toYaml $security -}}
{{- end -}}
