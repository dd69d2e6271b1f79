{{- /* Near which nodes and pods a pod may be. The schema has the fields and the words; what goes together is said here. The same in both charts; see _check.tpl. */ -}}

{{- /* Expressions of labels: their `name` among the values, the `expressions`, the `operators` that there are, and `any` where Kubernetes takes every value. */ -}}
{{- define "nimbus-control-plane.check.expressions" -}}
{{- $given := . -}}
{{- range $number, $expression := .expressions -}}
{{- $name := printf "%s[%d]" $given.name $number -}}
{{- $values := default list .values -}}
{{- include "nimbus-control-plane.check.labelKey" (dict "name" (printf "%s.key" $name) "key" .key) -}}
{{- if not (has .operator $given.operators) -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.operator" $name) (printf "one of %s" (join ", " $given.operators)) (quote .operator)
  "choose one of these: only labels of nodes are compared as numbers") -}}
{{- else if has .operator (list "Gt" "Lt") -}}
{{- if ne (len $values) 1 -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.values" $name) (printf "one value beside the operator %s" .operator) (len $values | toString) "give the number to compare with") -}}
{{- end -}}
{{- else if ne (hasSuffix "In" .operator) (not (empty $values)) -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.values" $name) "values beside the operators In and NotIn, and none beside Exists and DoesNotExist"
  (printf "%s %s values" .operator (ternary "without" "with" (empty $values))) "correct the operator or the values") -}}
{{- end -}}
{{- range ternary list $values (not (empty $given.any)) -}}
{{- include "nimbus-control-plane.check.labelValue" (dict "name" (printf "%s.values" $name) "value" (default "" .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* A LabelSelector: its `name` among the values, and the `selector`. */ -}}
{{- define "nimbus-control-plane.check.selector" -}}
{{- $name := .name -}}
{{- with .selector -}}
{{- include "nimbus-control-plane.check.labels" (dict "name" (printf "%s.matchLabels" $name) "labels" .matchLabels) -}}
{{- include "nimbus-control-plane.check.expressions" (dict "name" (printf "%s.matchExpressions" $name) "expressions" .matchExpressions
  "operators" (list "In" "NotIn" "Exists" "DoesNotExist")) -}}
{{- end -}}
{{- end -}}

{{- /*
The keys of labels in the `term` of the value `name`. Kubernetes adds those of matchLabelKeys that the pod has, `labels`, to the
labelSelector, and refuses the pod where one is in it already.
*/ -}}
{{- define "nimbus-control-plane.check.labelKeys" -}}
{{- $given := . -}}
{{- $term := .term -}}
{{- range $field := list "matchLabelKeys" "mismatchLabelKeys" -}}
{{- $keys := index $term $field -}}
{{- if and $keys (not (kindIs "map" $term.labelSelector)) -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.%s" $given.name $field) "a labelSelector beside it" "none" "add one, {} for all pods, or leave the keys out") -}}
{{- end -}}
{{- range $keys -}}
{{- include "nimbus-control-plane.check.labelKey" (dict "name" (printf "%s.%s" $given.name $field) "key" .) -}}
{{- end -}}
{{- end -}}
{{- $selector := default dict $term.labelSelector -}}
{{- $labels := concat .labels (default dict $selector.matchLabels | keys) -}}
{{- range $selector.matchExpressions -}}{{- $labels = append $labels .key -}}{{- end -}}
{{- range $key := $term.matchLabelKeys -}}
{{- if has $key (default list $term.mismatchLabelKeys) -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.matchLabelKeys" $given.name) "other keys than in mismatchLabelKeys" (quote $key) "leave it out of one of the two") -}}
{{- end -}}
{{- if gt (sub (len $labels) (without $labels $key | len)) 1 -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.matchLabelKeys" $given.name) "other keys than in labelSelector" (quote $key) "leave it out of one of the two") -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Nodes: the `term` of the value `name`. The values of labels may be `any` where they are a preference. */ -}}
{{- define "nimbus-control-plane.check.nodeTerm" -}}
{{- $name := .name -}}
{{- $any := .any -}}
{{- with .term -}}
{{- include "nimbus-control-plane.check.expressions" (dict "name" (printf "%s.matchExpressions" $name) "expressions" .matchExpressions "any" $any
  "operators" (list "In" "NotIn" "Exists" "DoesNotExist" "Gt" "Lt")) -}}
{{- range $number, $field := .matchFields -}}
{{- $at := printf "%s.matchFields[%d]" $name $number -}}
{{- $values := default list .values -}}
{{- if not (and (eq .key "metadata.name") (hasSuffix "In" .operator) (eq (len $values) 1)) -}}
{{- include "nimbus-control-plane.wrong" (list $at "the key metadata.name, the operator In or NotIn, and one value"
  (printf "%s %s and %d values" (include "nimbus-control-plane.withoutPassword" .key) .operator (len $values))
  "name one node, or choose nodes by their labels in matchExpressions") -}}
{{- else if not (include "nimbus-control-plane.isName" (first $values | default "")) -}}
{{- include "nimbus-control-plane.wrong" (list (printf "%s.values" $at) "the name of a node: small letters, digits, hyphens and dots, at most 253 characters"
  (first $values | default "" | include "nimbus-control-plane.hidden") "name it as `kubectl get nodes` does") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Pods: the `term` of the value `name`, for a pod with these `labels`. */ -}}
{{- define "nimbus-control-plane.check.podTerm" -}}
{{- include "nimbus-control-plane.check.labelKey" (dict "name" (printf "%s.topologyKey" .name) "key" .term.topologyKey) -}}
{{- include "nimbus-control-plane.check.selector" (dict "name" (printf "%s.labelSelector" .name) "selector" .term.labelSelector) -}}
{{- include "nimbus-control-plane.check.selector" (dict "name" (printf "%s.namespaceSelector" .name) "selector" .term.namespaceSelector) -}}
{{- include "nimbus-control-plane.check.labelKeys" . -}}
{{- end -}}

{{- define "nimbus-control-plane.check.affinity" -}}
{{- $required := "requiredDuringSchedulingIgnoredDuringExecution" -}}
{{- $preferred := "preferredDuringSchedulingIgnoredDuringExecution" -}}
{{- $labels := include "nimbus-control-plane.labels" . | fromYaml | keys .Values.podLabels | uniq -}}
{{- $nodes := default dict .Values.affinity.nodeAffinity -}}
{{- range $number, $term := (index $nodes $required | default dict).nodeSelectorTerms -}}
{{- include "nimbus-control-plane.check.nodeTerm" (dict "name" (printf "affinity.nodeAffinity.%s.nodeSelectorTerms[%d]" $required $number) "term" $term) -}}
{{- end -}}
{{- range $number, $term := index $nodes $preferred -}}
{{- include "nimbus-control-plane.check.nodeTerm" (dict "name" (printf "affinity.nodeAffinity.%s[%d].preference" $preferred $number) "term" .preference "any" true) -}}
{{- end -}}
{{- range $field := list "podAffinity" "podAntiAffinity" -}}
{{- $pods := index $.Values.affinity $field | default dict -}}
{{- range $number, $term := index $pods $required -}}
{{- include "nimbus-control-plane.check.podTerm" (dict "name" (printf "affinity.%s.%s[%d]" $field $required $number) "term" $term "labels" $labels) -}}
{{- end -}}
{{- range $number, $term := index $pods $preferred -}}
{{- include "nimbus-control-plane.check.podTerm" (dict "name" (printf "affinity.%s.%s[%d].podAffinityTerm" $field $preferred $number) "term" .podAffinityTerm "labels" $labels) -}}
{{- end -}}
{{- end -}}
{{- end -}}
