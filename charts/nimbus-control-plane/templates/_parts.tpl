{{- /* What several templates need. */ -}}

{{- /* An image as the container runtime takes it. The digest wins: with one, the tag says nothing. */ -}}
{{- define "nimbus-control-plane.image" -}}
{{- $name := .image.repository -}}
{{- if .image.registry -}}{{- $name = printf "%s/%s" .image.registry $name -}}{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- /* A tag has no "+"; `cargo xtask dist` writes "_" for it. */ -}}
{{- printf "%s:%s" $name (default .appVersion .image.tag | replace "+" "_") -}}
{{- end -}}
{{- end -}}

{{- /* An address of the pod and a port of it. */ -}}
{{- define "nimbus-control-plane.listen" -}}
{{- printf "%s:%d" (ternary "[::]" .address (eq .address "::")) (int .port) -}}
{{- end -}}

{{- /* The Secret with the certificate for operators; nothing where the control plane issues it. */ -}}
{{- define "nimbus-control-plane.tlsSecret" -}}
{{- if .Values.tls.existingSecret -}}
{{- .Values.tls.existingSecret -}}
{{- else if .Values.tls.certManager.enabled -}}
{{- include "nimbus-control-plane.fullname" . }}-tls
{{- end -}}
{{- end -}}

{{- /* The ConfigMap for --config; nothing where every figure has its default. */ -}}
{{- define "nimbus-control-plane.configMap" -}}
{{- if .Values.config.existingConfigMap -}}
{{- .Values.config.existingConfigMap -}}
{{- else if .Values.config.settings -}}
{{- include "nimbus-control-plane.fullname" . -}}
{{- end -}}
{{- end -}}

{{- /* Do control planes stand by for each other? They do as soon as they can, so that a second one only has to be started. */ -}}
{{- define "nimbus-control-plane.standBy" -}}
{{- if and .Values.keys.existingSecret (include "nimbus-control-plane.postgres" .) -}}true{{- end -}}
{{- end -}}

{{- /* The volume claim; nothing without one. */ -}}
{{- define "nimbus-control-plane.claim" -}}
{{- if and .Values.persistence.enabled (not (include "nimbus-control-plane.standBy" .)) -}}
{{- default (printf "%s-data" (include "nimbus-control-plane.fullname" .)) .Values.persistence.existingClaim -}}
{{- end -}}
{{- end -}}

{{- /* Are agents served over TCP as well? They are unless that is switched off: values of an earlier version do not say it. */ -}}
{{- define "nimbus-control-plane.overTcp" -}}
{{- if ne (toString .Values.services.agentsOverTcp) "false" -}}true{{- end -}}
{{- end -}}

{{- /* PostgreSQL? "true" or nothing. */ -}}
{{- define "nimbus-control-plane.postgres" -}}
{{- if or .Values.database.existingSecret .Values.database.url -}}true{{- end -}}
{{- end -}}

{{- /* The figures as TOML. Helm's own toToml writes the whole numbers of a values file as 3.0, which are refused. */ -}}
{{- define "nimbus-control-plane.settings" -}}
[settings]
{{- range $name, $figure := .Values.config.settings }}
{{- if not (or (kindIs "map" $figure) (kindIs "slice" $figure)) }}
{{ $name }} = {{ int64 $figure }}
{{- end }}
{{- end }}
{{- range $table, $figures := .Values.config.settings }}
{{- if kindIs "map" $figures }}

[settings.{{ $table }}]
{{- range $name, $figure := $figures }}
{{ $name }} = {{ int64 $figure }}
{{- end }}
{{- end }}
{{- end }}
{{- range (.Values.config.settings | default dict).quorum }}

[[settings.quorum]]
actions = {{ .actions | default list | toJson }}
clusters = {{ .clusters | default list | toJson }}
groups = {{ .groups | toJson }}
{{- end }}
{{- range $list := list "window" "blackout" }}
{{- range $period := index ($.Values.config.settings | default dict) $list }}

[[settings.{{ $list }}]]
{{- range $field, $value := $period }}
{{ $field }} = {{ $value | toJson }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* What a NetworkPolicy lets out to PostgreSQL; nothing on SQLite. */ -}}
{{- define "nimbus-control-plane.databaseEgress" -}}
{{- if include "nimbus-control-plane.postgres" . -}}
# The name of the database.
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
- ports:
    - port: {{ int .Values.networkPolicy.databasePort }}
      protocol: TCP
  {{- with .Values.networkPolicy.databaseTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}
