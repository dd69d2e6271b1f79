{{- /* The backups on a schedule: what they need, and when they are made. See _check.tpl. */ -}}

{{- define "nimbus-control-plane.check.backup" -}}
{{- with .Values.backup -}}
{{- /* Left out, it may have been forgotten; false is a word, as in a restore before the claim of the backups is there. */ -}}
{{- if and (kindIs "invalid" .enabled) (or .recipients .existingClaim) -}}
{{- include "nimbus-control-plane.wrong" (list "backup.enabled" "true, as values say who reads the backups or where they go" "none: no backup is made"
  "set it to true, or to false to make none for now") -}}
{{- end -}}
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
Is it a time of a CronJob? A word such as @hourly, `@every` and a time, or five fields within their bounds: all that the parser of
Kubernetes reads. A time zone in it (TZ=) Kubernetes refuses by itself: it belongs in timeZone. The last day of a week is 6.
*/ -}}
{{- define "nimbus-control-plane.isSchedule" -}}
{{- /* What Kubernetes takes for a blank. */ -}}
{{- $fields := regexFindAll "[^\\s\\v\\x{85}\\p{Z}]+" . -1 -}}
{{- if regexMatch "^@(yearly|annually|monthly|weekly|daily|midnight|hourly)$" . -}}true
{{- else if hasPrefix "@every " . -}}{{- include "nimbus-control-plane.isDuration" (trimPrefix "@every " .) -}}
{{- else if and (eq (len $fields) 5) (not (contains "TZ" .)) -}}
{{- $bounds := list (list 0 59) (list 0 23) (list 1 31) (list 1 12) (list 0 6) -}}
{{- $months := dict "jan" 1 "feb" 2 "mar" 3 "apr" 4 "may" 5 "jun" 6 "jul" 7 "aug" 8 "sep" 9 "oct" 10 "nov" 11 "dec" 12 -}}
{{- $days := dict "sun" 0 "mon" 1 "tue" 2 "wed" 3 "thu" 4 "fri" 5 "sat" 6 -}}
{{- $names := list dict dict dict $months $days -}}
{{- $wrong := false -}}
{{- range $at, $bound := $bounds -}}
{{- range $part := index $fields $at | lower | splitList "," | compact -}}
{{- $halves := splitList "/" $part -}}
{{- $ends := first $halves | splitList "-" -}}
{{- $least := first $bound -}}
{{- /* What follows a star and a hyphen is not read. */ -}}
{{- if not (has (first $ends) (list "*" "?")) -}}
{{- if gt (len $ends) 2 -}}{{- $wrong = true -}}{{- end -}}
{{- range $ends -}}
{{- $number := -1 -}}
{{- if hasKey (index $names $at) . -}}{{- $number = get (index $names $at) . -}}
{{- else if regexMatch "^[+]?0*[0-9]{1,2}$" . -}}{{- $number = atoi . -}}{{- end -}}
{{- if or (lt $number $least) (gt $number (last $bound)) -}}{{- $wrong = true -}}{{- end -}}
{{- $least = $number -}}
{{- end -}}
{{- end -}}
{{- if gt (len $halves) 1 -}}
{{- $step := last $halves -}}
{{- /* A number that is too large to be read is another one afterwards. */ -}}
{{- $read := eq (atoi $step | toString) (regexReplaceAll "^[+]?0*" $step "") -}}
{{- if not (and (eq (len $halves) 2) (regexMatch "^[+]?0*[1-9][0-9]*$" $step) $read) -}}{{- $wrong = true -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $wrong -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{- /*
Is it a time such as 1h30m or 1.5h, of 292 years at most? Kubernetes reads it as dateModify does, which leaves a date as it is where a
time is too long, and where it is none at all: one nanosecond more tells these two apart.
*/ -}}
{{- define "nimbus-control-plane.isDuration" -}}
{{- if regexMatch "^[-+]?0$" . -}}true
{{- else if regexMatch "^[-+]?(([0-9]+[.]?[0-9]*|[.][0-9]+)(h|m|s|ms|[u\\x{b5}\\x{3bc}]s|ns))+$" . -}}
{{- $date := toDate "2006-01-02 MST" "2000-01-01 UTC" -}}
{{- $moved := dateModify . $date | toString -}}
{{- $more := dateModify (regexReplaceAll "^[-+]?" . "${0}1ns") $date | toString -}}
{{- if or (ne $moved (toString $date)) (ne $more (toString $date)) -}}true{{- end -}}
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
