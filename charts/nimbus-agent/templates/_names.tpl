{{- /* Names and labels. Nothing here is random: rendered twice, a release is the same. */ -}}

{{- define "nimbus-agent.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* 52: a revision of the DaemonSet adds a hash to what may have 63. */ -}}
{{- define "nimbus-agent.fullname" -}}
{{- $name := include "nimbus-agent.name" . -}}
{{- $made := printf "%s-%s" .Release.Name $name -}}
{{- if contains $name .Release.Name -}}
{{- $made = .Release.Name -}}
{{- else if hasPrefix (printf "%s-" .Release.Name) $name -}}
{{- /* The release nimbus: nimbus-agent. */ -}}
{{- $made = $name -}}
{{- end -}}
{{- default $made .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "nimbus-agent.serviceAccount" -}}
{{- $made := ternary (include "nimbus-agent.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $made .Values.serviceAccount.name -}}
{{- end -}}

{{- /* These select pods, so they never change; a version among them would make every upgrade fail. */ -}}
{{- define "nimbus-agent.selector" -}}
app.kubernetes.io/name: {{ include "nimbus-agent.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: agent
{{- end -}}

{{- define "nimbus-agent.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" (.Chart.AppVersion | replace "+" "_")
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/part-of" "nimbus" -}}
{{- $selector := include "nimbus-agent.selector" . | fromYaml -}}
{{- mergeOverwrite (deepCopy .Values.commonLabels) $own $selector | toYaml -}}
{{- end -}}
