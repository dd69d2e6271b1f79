{{- /* The forms of addresses and names. Each says "true" or nothing. See _check.tpl. */ -}}

{{- /* Is it an IP address? */ -}}
{{- define "nimbus-control-plane.isAddress" -}}
{{- $byte := "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])" -}}
{{- $four := printf "(%s[.]){3}%s" $byte $byte -}}
{{- /* An IPv6 address may end with an IPv4 one, in the place of its last two groups. */ -}}
{{- $groups := regexReplaceAll (printf ":%s$" $four) . ":0:0" -}}
{{- $some := "([0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4})*)?" -}}
{{- $number := regexFindAll "[0-9A-Fa-f]+" $groups -1 | len -}}
{{- if regexMatch (printf "^%s$" $four) . -}}true
{{- else if regexMatch "^([0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}$" $groups -}}true
{{- else if and (regexMatch (printf "^%s::%s$" $some $some) $groups) (le $number 7) -}}true
{{- end -}}
{{- end -}}

{{- /* Is it a DNS name? What has only digits between its dots is an address, or nothing. An underscore is in no host's name by the book. */ -}}
{{- define "nimbus-control-plane.isHost" -}}
{{- $label := "[0-9A-Za-z]([-0-9A-Za-z]{0,61}[0-9A-Za-z])?" -}}
{{- if and (le (len .) 253) (regexMatch (printf "^%s([.]%s)*$" $label $label) .) (not (regexMatch "^[0-9.]+$" .)) -}}true{{- end -}}
{{- end -}}

{{- /* Is it HOST:PORT, an IPv6 address in brackets? Some hosts are called by names with an underscore, and the programs call them, too. */ -}}
{{- define "nimbus-control-plane.isHostPort" -}}
{{- $port := regexFind ":[0-9]{1,5}$" . | trimPrefix ":" -}}
{{- $host := trimSuffix (printf ":%s" $port) . -}}
{{- $inside := trimSuffix "]" (trimPrefix "[" $host) -}}
{{- if not $port -}}
{{- else if or (lt (atoi $port) 1) (gt (atoi $port) 65535) -}}
{{- else if eq $host (printf "[%s]" $inside) -}}
{{- if contains ":" $inside -}}{{- include "nimbus-control-plane.isAddress" $inside -}}{{- end -}}
{{- else if contains ":" $host -}}
{{- else if include "nimbus-control-plane.isAddress" $host -}}true
{{- else -}}{{- include "nimbus-control-plane.isHost" (trimSuffix "." $host | replace "_" "a") -}}
{{- end -}}
{{- end -}}

{{- /* Is it a network, such as 10.0.0.0/8? */ -}}
{{- define "nimbus-control-plane.isNetwork" -}}
{{- $bits := regexFind "/(0|[1-9][0-9]{0,2})$" . | trimPrefix "/" -}}
{{- $address := trimSuffix (printf "/%s" $bits) . -}}
{{- if and $bits (le (atoi $bits) (ternary 128 32 (contains ":" $address))) -}}{{- include "nimbus-control-plane.isAddress" $address -}}{{- end -}}
{{- end -}}

{{- /*
Is it a time of a CronJob? Five fields within their bounds, or a word such as @hourly. A time zone in it (TZ=) is none of the
five, and Kubernetes refuses it, too: it belongs in timeZone. The last day of a week is 6.
*/ -}}
{{- define "nimbus-control-plane.isSchedule" -}}
{{- $fields := regexSplit "[ \\t]+" (trimAll " " .) -1 -}}
{{- if regexMatch "^@(yearly|annually|monthly|weekly|daily|midnight|hourly|every ([0-9]+[hms])+)$" . -}}true
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
