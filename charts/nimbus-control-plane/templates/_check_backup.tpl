{{- /* The backups on a schedule: what they need, and when they are made. See _check.tpl. */ -}}

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
{{- with .timeZone -}}
{{- if not (include "nimbus-control-plane.isTimeZone" .) -}}
{{- include "nimbus-control-plane.wrong" (list "backup.timeZone" "a name of the IANA's time zones, such as Europe/Berlin or Etc/UTC" (quote .)
  "name one with its capital letters, no offset and not Local, or leave it out for the controller manager's") -}}
{{- end -}}
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

{{- /*
Is it a time of a CronJob? Five fields within their bounds, or a word such as @hourly. A time zone in it (TZ=) is none of the
five, and Kubernetes refuses it, too: it belongs in timeZone. The last day of a week is 6, and the longest @every has 292 years.
*/ -}}
{{- define "nimbus-control-plane.isSchedule" -}}
{{- $fields := regexSplit "[ \\t]+" (trimAll " " .) -1 -}}
{{- if regexMatch "^@(yearly|annually|monthly|weekly|daily|midnight|hourly)$" . -}}true
{{- else if regexMatch "^@every (0*[0-9]{1,10}[hms])+$" . -}}
{{- /* So many seconds are the longest time that Kubernetes counts. */ -}}
{{- if le (include "nimbus-control-plane.seconds" . | int64) 9223372036 -}}true{{- end -}}
{{- else if eq (len $fields) 5 -}}
{{- $bounds := list (list 0 59) (list 0 23) (list 1 31) (list 1 12) (list 0 6) -}}
{{- $months := list "" "jan" "feb" "mar" "apr" "may" "jun" "jul" "aug" "sep" "oct" "nov" "dec" -}}
{{- $days := list "sun" "mon" "tue" "wed" "thu" "fri" "sat" -}}
{{- $names := list list list list $months $days -}}
{{- $wrong := false -}}
{{- range $at, $bound := $bounds -}}
{{- range $part := index $fields $at | lower | splitList "," -}}
{{- range $number, $name := index $names $at -}}
{{- if $name -}}{{- $part = regexReplaceAll (printf "\\b%s\\b" $name) $part (toString $number) -}}{{- end -}}
{{- end -}}
{{- if not (regexMatch "^([*?]|[0-9]{1,2}(-[0-9]{1,2})?)(/0*[1-9][0-9]{0,3})?$" $part) -}}{{- $wrong = true -}}{{- end -}}
{{- $numbers := regexFindAll "[0-9]+" (regexFind "^[-0-9]+" $part) -1 -}}
{{- range $numbers -}}
{{- if or (lt (atoi .) (first $bound)) (gt (atoi .) (last $bound)) -}}{{- $wrong = true -}}{{- end -}}
{{- end -}}
{{- if gt (len $numbers) 1 -}}
{{- if gt (first $numbers | atoi) (last $numbers | atoi) -}}{{- $wrong = true -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $wrong -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{- /*
Has it the form of a time zone's name? Only the API server knows which names there are. It refuses `Local`, however that is
written, and so it does an offset such as UTC+2: the name of that zone is Etc/GMT-2.
*/ -}}
{{- define "nimbus-control-plane.isTimeZone" -}}
{{- $part := "[A-Z][-+0-9A-Za-z_]*" -}}
{{- if and (regexMatch (printf "^%s(/%s)*$" $part $part) .) (not (regexMatch "^((?i:local)|UTC[-+0-9].*|GMT[-+]?[1-9].*)$" .)) -}}true{{- end -}}
{{- end -}}
