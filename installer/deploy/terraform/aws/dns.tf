# The names of the load balancers. Their addresses are known once the control plane's Services have them; until then the
# two targets are empty and no record is made.
variable "dns_zone" {
  type        = string
  description = "The name of the Route 53 zone, for example ops.example.com."
}

variable "operators_name" {
  type        = string
  description = "The DNS name by which operators call the control plane; empty: none."
}

variable "agents_name" {
  type        = string
  description = "The DNS name by which agents call the control plane; empty: none."
}

variable "operators_target" {
  type    = string
  default = ""
}

variable "agents_target" {
  type    = string
  default = ""
}

data "aws_route53_zone" "names" {
  name = var.dns_zone
}

resource "aws_route53_record" "operators" {
  count   = var.operators_name != "" && var.operators_target != "" ? 1 : 0
  zone_id = data.aws_route53_zone.names.zone_id
  name    = var.operators_name
  type    = can(regex("^[0-9.]+$", var.operators_target)) ? "A" : "CNAME"
  ttl     = 60
  records = [var.operators_target]
}

resource "aws_route53_record" "agents" {
  count   = var.agents_name != "" && var.agents_target != "" ? 1 : 0
  zone_id = data.aws_route53_zone.names.zone_id
  name    = var.agents_name
  type    = can(regex("^[0-9.]+$", var.agents_target)) ? "A" : "CNAME"
  ttl     = 60
  records = [var.agents_target]
}
