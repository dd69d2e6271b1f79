{{- /* Networks. The same in both charts; see _check.tpl. */ -}}

{{- /* Is it a network, such as 10.0.0.0/8? "true" or nothing. */ -}}
{{- define "nimbus-agent.isNetwork" -}}
{{- $bits := regexFind "/(0|[1-9][0-9]{0,2})$" . | trimPrefix "/" -}}
{{- $address := trimSuffix (printf "/%s" $bits) . -}}
{{- if and $bits (le (atoi $bits) (ternary 128 32 (contains ":" $address))) -}}{{- include "nimbus-agent.isAddress" $address -}}{{- end -}}
{{- end -}}

{{- /* The bits of an IP address, 32 or 128 letters 0 and 1. */ -}}
{{- define "nimbus-agent.bits" -}}
{{- $text := lower . -}}
{{- range regexFindAll "[0-9]+([.][0-9]+){3}$" $text -1 -}}
{{- $four := "" -}}
{{- range splitList "." . -}}{{- $four = printf "%s%02x" $four (atoi .) -}}{{- end -}}
{{- $text = printf "%s%s:%s" (trimSuffix . $text) (trunc 4 $four) (trunc -4 $four) -}}
{{- end -}}
{{- $sides := splitList "::" $text -}}
{{- $groups := regexFindAll "[0-9a-f]+" (first $sides) -1 -}}
{{- if gt (len $sides) 1 -}}
{{- $after := regexFindAll "[0-9a-f]+" (last $sides) -1 -}}
{{- range until (sub (sub 8 (len $groups)) (len $after) | int) -}}{{- $groups = append $groups "0" -}}{{- end -}}
{{- $groups = concat $groups $after -}}
{{- end -}}
{{- $bits := "" -}}
{{- range $groups -}}{{- $bits = printf "000%s" . | trunc -4 | printf "%s%s" $bits -}}{{- end -}}
{{- /* Digit by digit, in this order: no later one is 0 or 1. */ -}}
{{- range $number, $digit := splitList "" "0123456789abcdef" -}}{{- $bits = replace $digit (printf "%04b" $number) $bits -}}{{- end -}}
{{- $bits -}}
{{- end -}}

{{- /* The bits of a network that its prefix has. */ -}}
{{- define "nimbus-agent.prefix" -}}
{{- $parts := splitList "/" . -}}
{{- include "nimbus-agent.bits" (first $parts) | trunc (last $parts | atoi) -}}
{{- end -}}

{{- /* A `network` of the value `name`. */ -}}
{{- define "nimbus-agent.check.network" -}}
{{- if not (include "nimbus-agent.isNetwork" .network) -}}
{{- include "nimbus-agent.wrong" (list .name (printf "networks as CIDRs%s, such as 10.0.0.0/8 or 2001:db8::/32" (default "" .where)) (quote .network)
  "write the address of the network, a slash and its bits") -}}
{{- else -}}
{{- $bits := first (splitList "/" .network) | include "nimbus-agent.bits" -}}
{{- if and (contains ":" .network) (hasPrefix (printf "%s%s" (repeat 80 "0") (repeat 16 "1")) $bits) -}}
{{- include "nimbus-agent.wrong" (list .name "networks of IPv4 in their own form, as Kubernetes refuses them in that of IPv6 from 1.36 on" (quote .network)
  "write it as in 10.0.0.0/8, with 96 bits less") -}}
{{- else if contains "1" (trimPrefix (include "nimbus-agent.prefix" .network) $bits) -}}
{{- include "nimbus-agent.wrong" (list .name "networks that begin with their first address, as Kubernetes refuses others from 1.36 on" (quote .network)
  (printf "write that address before the slash, or /%d for this address alone" (len $bits))) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The `block` of an IP of the value `name`: its networks, and whether what is excepted is a part of it. */ -}}
{{- define "nimbus-agent.check.block" -}}
{{- $name := .name -}}
{{- $cidr := default "" .block.cidr -}}
{{- range prepend (default list .block.except) $cidr -}}
{{- include "nimbus-agent.check.network" (dict "name" $name "where" " in each ipBlock" "network" (toString .)) -}}
{{- end -}}
{{- if include "nimbus-agent.isNetwork" $cidr -}}
{{- $outer := include "nimbus-agent.prefix" $cidr -}}
{{- range .block.except -}}
{{- if include "nimbus-agent.isNetwork" . -}}
{{- $inner := include "nimbus-agent.prefix" . -}}
{{- if or (ne (contains ":" .) (contains ":" $cidr)) (eq $inner $outer) (not (hasPrefix $outer $inner)) -}}
{{- include "nimbus-agent.wrong" (list $name (printf "in except parts of the cidr %s" (quote $cidr)) (quote .)
  "leave it out, or name a smaller network of that one") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
