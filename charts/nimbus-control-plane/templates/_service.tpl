{{- /* A Service: `root`, its `name`, its `values`, its `port` as a Service has it, and whether that port
    is also there `overTcp`. */ -}}
{{- define "nimbus-control-plane.service" -}}
{{- $values := .values -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- $labels := include "nimbus-control-plane.labels" .root | fromYaml }}
    {{- mergeOverwrite (deepCopy $values.labels) $labels (dict "nimbus.dev/serves" .serves) | toYaml | nindent 4 }}
  {{- with $values.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ $values.type }}
  {{- with $values.loadBalancerIP }}
  loadBalancerIP: {{ . | quote }}
  {{- end }}
  {{- with $values.loadBalancerClass }}
  loadBalancerClass: {{ . | quote }}
  {{- end }}
  {{- with $values.loadBalancerSourceRanges }}
  loadBalancerSourceRanges:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.externalTrafficPolicy }}
  externalTrafficPolicy: {{ . }}
  {{- end }}
  {{- with $values.ipFamilyPolicy }}
  ipFamilyPolicy: {{ . }}
  {{- end }}
  {{- with $values.ipFamilies }}
  ipFamilies:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if gt (int .root.Values.replicas) 1 }}
  # One that is not ready has another beside it. One that stands by is ready, and sends on whoever asks it.
  publishNotReadyAddresses: false
  {{- else }}
  # There is no other pod to send anybody to. One that is not ready still tells operators why, and a database that is
  # away for a moment need not cost every agent its session.
  publishNotReadyAddresses: true
  {{- end }}
  selector:
    {{- include "nimbus-control-plane.selector" .root | nindent 4 }}
  ports:
    - name: {{ .port.name | quote }}
      protocol: {{ .port.protocol }}
      {{- with .port.appProtocol }}
      appProtocol: {{ . }}
      {{- end }}
      port: {{ int $values.port }}
      targetPort: {{ .port.name }}
      {{- if int $values.nodePort }}
      nodePort: {{ int $values.nodePort }}
      {{- end }}
    {{- if .overTcp }}
    # One address and port for both ways.
    - name: agents-tcp
      protocol: TCP
      port: {{ int $values.port }}
      targetPort: agents-tcp
      {{- if int $values.nodePort }}
      nodePort: {{ int $values.nodePort }}
      {{- end }}
    {{- end }}
{{- end -}}
