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

{{- define "nimbus-control-plane.check.backup" -}}
{{- with .Values.backup -}}
{{- if .enabled -}}
{{- include "nimbus-control-plane.check.image" (dict "name" "backup.image" "tagged" $.Chart.AppVersion "inherited" (empty .image.registry)
  "image" (include "nimbus-control-plane.backupImage" $ | fromYaml).image) -}}
{{- include "nimbus-control-plane.check.resources" (dict "name" "backup.resources" "resources" .resources) -}}
{{- if not (include "nimbus-control-plane.isSchedule" .schedule) -}}
{{- include "nimbus-control-plane.wrong" (list "backup.schedule"
  "minute, hour, day of the month, month and day of the week (0 to 6) as cron has them, or a word such as @daily" (quote .schedule)
  "correct it, for example to \"17 2 * * *\"; a time zone belongs in backup.timeZone") -}}
{{- end -}}
{{- if not .recipients -}}
{{- include "nimbus-control-plane.wrong" (list "backup.recipients" "the public keys of who may read the backups" "none"
  "make one with `age-keygen -o key.txt` away from the cluster, and name the age1… that it prints") -}}
{{- end -}}
{{- range .recipients -}}
{{- /* The secret half is not shown. */ -}}
{{- if not (regexMatch "^age1[0-9a-z]{50,80}$" .) -}}
{{- include "nimbus-control-plane.wrong" (list "backup.recipients" "public keys, age1…, as age-keygen prints them" "something else"
  "name the public key; the secret one, AGE-SECRET-KEY-1…, stays with who restores") -}}
{{- end -}}
{{- end -}}
{{- if not (or $.Values.persistence.enabled $.Values.keys.existingSecret) -}}
{{- include "nimbus-control-plane.wrong" (list "backup.enabled" "false, as without a volume there is nothing that another pod could read"
  "true" "set persistence.enabled to true, or leave the backups out") -}}
{{- end -}}
{{- if and (include "nimbus-control-plane.claim" $) (has "ReadWriteOncePod" $.Values.persistence.accessModes) -}}
{{- include "nimbus-control-plane.wrong" (list "persistence.accessModes" "a mode in which the pod of the backup may mount the volume as well"
  "ReadWriteOncePod" "use ReadWriteOnce, or keep the state in PostgreSQL with keys.existingSecret") -}}
{{- end -}}
{{- if not .existingClaim -}}
{{- include "nimbus-control-plane.wrong" (list "backup.existingClaim" "a claim of yours that the backups are written to" "none"
  "make a PersistentVolumeClaim, on other storage than the control plane's, and name it") -}}
{{- else if eq .existingClaim (include "nimbus-control-plane.claim" $) -}}
{{- include "nimbus-control-plane.wrong" (list "backup.existingClaim" "another volume than the one that is backed up"
  (include "nimbus-control-plane.named" .existingClaim) "name another claim") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
