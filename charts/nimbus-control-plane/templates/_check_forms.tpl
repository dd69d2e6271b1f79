{{- /* The forms of addresses, names and filters. Each says "true" or nothing. The same in both charts; see _check.tpl. */ -}}

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

{{- /*
Is `filter` one of log lines, by what can be said for certain: what follows an equals sign is a level? A `strict` program also takes
no blank at an end of a part, and none that begins with another sign than a name or a span's bracket does, so that something is before
the equals sign, and closes each bracket before it. Where fields of spans are named, a comma may be within them, and the program alone can say.
*/ -}}
{{- define "nimbus-control-plane.isFilter" -}}
{{- $strict := .strict -}}
{{- $wrong := list -}}
{{- if not (regexMatch "[{}]" .filter) -}}
{{- range splitList "," .filter -}}
{{- if and (contains "=" .) (not (regexMatch "(?i)^[^=]*=([+]?0*[0-5]|off|error|warn|info|debug|trace)?$" .)) -}}
{{- $wrong = append $wrong . -}}
{{- else if and $strict . (or (not (regexMatch "^[-:_[\\pL\\pN]" .)) (regexMatch "\\s$" .)) -}}
{{- $wrong = append $wrong . -}}
{{- else if and $strict (contains "[" .) (not (regexMatch "^[^][=]*\\[[^]]*\\](=[^][]*)?$" .)) -}}
{{- $wrong = append $wrong . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $wrong -}}true{{- end -}}
{{- end -}}
