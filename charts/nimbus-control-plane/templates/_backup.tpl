{{- /* The backups on a schedule. */ -}}

{{- define "nimbus-control-plane.backup" -}}
{{- include "nimbus-control-plane.fullname" . | trunc 45 | trimSuffix "-" }}-backup
{{- end -}}

{{- /* Not those of the control plane: its Services must not find this pod. */ -}}
{{- define "nimbus-control-plane.backupSelector" -}}
{{- $own := dict "app.kubernetes.io/component" "backup" -}}
{{- mergeOverwrite (include "nimbus-control-plane.selector" . | fromYaml) $own | toYaml -}}
{{- end -}}

{{- define "nimbus-control-plane.backupLabels" -}}
{{- $own := include "nimbus-control-plane.backupSelector" . | fromYaml -}}
{{- mergeOverwrite (include "nimbus-control-plane.labels" . | fromYaml) $own | toYaml -}}
{{- end -}}

{{- /* What nimbus-control-plane.image takes: the command's image, from where the control plane's is unless it says otherwise. */ -}}
{{- define "nimbus-control-plane.backupImage" -}}
{{- $image := deepCopy .Values.backup.image -}}
{{- if not $image.registry -}}{{- $_ := set $image "registry" .Values.image.registry -}}{{- end -}}
{{- dict "image" $image "appVersion" .Chart.AppVersion | toYaml -}}
{{- end -}}
