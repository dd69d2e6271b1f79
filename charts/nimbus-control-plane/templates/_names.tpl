{{- /* Names and labels. Nothing here is random: rendered twice, a release is the same. */ -}}

{{- define "nimbus-control-plane.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* 52: a Service adds "-agents", and a revision of the StatefulSet adds a hash, to what may have 63. */ -}}
{{- define "nimbus-control-plane.fullname" -}}
{{- $name := include "nimbus-control-plane.name" . -}}
{{- $made := printf "%s-%s" .Release.Name $name -}}
{{- if contains $name .Release.Name -}}
{{- $made = .Release.Name -}}
{{- else if hasPrefix (printf "%s-" .Release.Name) $name -}}
{{- /* The release nimbus: nimbus-control-plane. */ -}}
{{- $made = $name -}}
{{- end -}}
{{- default $made .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "nimbus-control-plane.agents" -}}
{{- include "nimbus-control-plane.fullname" . }}-agents
{{- end -}}

{{- define "nimbus-control-plane.serviceAccount" -}}
{{- $made := ternary (include "nimbus-control-plane.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $made .Values.serviceAccount.name -}}
{{- end -}}

{{- /* These select pods, so they never change; a version among them would make every upgrade fail. */ -}}
{{- define "nimbus-control-plane.selector" -}}
app.kubernetes.io/name: {{ include "nimbus-control-plane.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: control-plane
{{- end -}}

{{- define "nimbus-control-plane.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" (.Chart.AppVersion | replace "+" "_")
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/part-of" "nimbus" -}}
{{- $selector := include "nimbus-control-plane.selector" . | fromYaml -}}
{{- mergeOverwrite (deepCopy .Values.commonLabels) $own $selector | toYaml -}}
{{- end -}}

{{- /* The names of the operators' Service, shortest first, as a YAML list. */ -}}
{{- define "nimbus-control-plane.serviceNames" -}}
{{- $name := include "nimbus-control-plane.fullname" . -}}
{{- $inside := printf "%s.%s.svc" $name .Release.Namespace -}}
{{- list $name (printf "%s.%s" $name .Release.Namespace) $inside (printf "%s.%s" $inside .Values.clusterDomain) | toYaml -}}
{{- end -}}
