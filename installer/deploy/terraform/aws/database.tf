# PostgreSQL 16. The password is made here and is in the state: keep the state where you keep secrets.
resource "random_password" "database" {
  length  = 40
  special = false
}

# A final snapshot's name is taken for good: the next installation of this name needs another one.
resource "random_id" "database" {
  byte_length = 4
}

resource "aws_db_subnet_group" "database" {
  name       = "${var.name}-database"
  subnet_ids = aws_subnet.database[*].id
}

resource "aws_db_instance" "database" {
  identifier                = "${var.name}-database"
  engine                    = "postgres"
  engine_version            = "16"
  instance_class            = "db.t4g.medium"
  allocated_storage         = 20
  max_allocated_storage     = 200
  storage_type              = "gp3"
  storage_encrypted         = true
  multi_az                  = true
  db_name                   = "nimbus"
  username                  = "nimbus"
  password                  = random_password.database.result
  db_subnet_group_name      = aws_db_subnet_group.database.name
  vpc_security_group_ids    = [aws_security_group.database.id]
  publicly_accessible       = false
  backup_retention_period   = 14
  copy_tags_to_snapshot     = true
  deletion_protection       = var.deletion_protection
  skip_final_snapshot       = !var.deletion_protection
  final_snapshot_identifier = "${var.name}-database-final-${random_id.database.hex}"
}

variable "database_tls" {
  type        = string
  default     = "sslmode=require"
  description = "How the control plane connects to the database. Amazon's authority is no public one: without its file the connection is encrypted, and the certificate is not verified. GUIDE.md says how it is."
}

output "database_url" {
  description = "The address for the Secret of the control plane, with the password."
  value       = "postgres://nimbus:${random_password.database.result}@${aws_db_instance.database.endpoint}/nimbus?${var.database_tls}"
  sensitive   = true
}
