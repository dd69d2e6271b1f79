{{- /* What several templates need. */ -}}

{{- /* An image as the container runtime takes it. The digest wins: with one, the tag says nothing. */ -}}
{{- define "nimbus-agent.image" -}}
{{- $name := .image.repository -}}
{{- if .image.registry -}}{{- $name = printf "%s/%s" .image.registry $name -}}{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- /* A tag has no "+"; `cargo xtask dist` writes "_" for it. */ -}}
{{- printf "%s:%s" $name (default .appVersion .image.tag | replace "+" "_") -}}
{{- end -}}
{{- end -}}

{{- /* The Secret with the join token. */ -}}
{{- define "nimbus-agent.joinSecret" -}}
{{- default (printf "%s-join" (include "nimbus-agent.fullname" .)) .Values.join.existingSecret -}}
{{- end -}}

{{- /* The key of it. The chart's own Secret has the same. */ -}}
{{- define "nimbus-agent.joinKey" -}}
{{- default "token" .Values.join.existingSecretKey -}}
{{- end -}}

{{- /* The ConfigMap with the policy. */ -}}
{{- define "nimbus-agent.policy" -}}
{{- default (printf "%s-policy" (include "nimbus-agent.fullname" .)) .Values.policy.existingConfigMap -}}
{{- end -}}

{{- /* The ConfigMap that stops the agents. The chart never makes it, so no upgrade and no rollback takes it away. */ -}}
{{- define "nimbus-agent.stop" -}}
{{- printf "%s-stop" (include "nimbus-agent.fullname" .) -}}
{{- end -}}

{{- /* Where the agents elect: a namespace that is there, of the two in which they look. */ -}}
{{- define "nimbus-agent.leaseNamespace" -}}
{{- $own := ternary "nimbus-system" "kube-system" (eq .Release.Namespace "nimbus-system") -}}
{{- default $own .Values.lease.namespace -}}
{{- end -}}

{{- /* The port of the control plane. Without `server`, nothing: templates/checks.yaml says that, and this may be rendered before it. */ -}}
{{- define "nimbus-agent.serverPort" -}}
{{- regexFind "[0-9]+$" (default "" .Values.server) -}}
{{- end -}}

{{- /* The series of this release, as a PodMonitor labels them. */ -}}
{{- define "nimbus-agent.series" -}}
{{- $name := include "nimbus-agent.fullname" . -}}
namespace={{ .Release.Namespace | quote }}, job={{ printf "%s/%s" .Release.Namespace $name | quote }}
{{- end -}}

{{- /* The ServiceAccount, as a binding names it. */ -}}
{{- define "nimbus-agent.subjects" -}}
- kind: ServiceAccount
  name: {{ include "nimbus-agent.serviceAccount" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end -}}
