# PostgreSQL 16. The password is made here and is in the state: keep the state where you keep secrets.
resource "random_password" "database" {
  length  = 40
  special = false
}

# The name of an instance that was deleted is not free again for a week.
resource "random_id" "database" {
  byte_length = 4
}

resource "google_sql_database_instance" "database" {
  name                = "${var.name}-database-${random_id.database.hex}"
  database_version    = "POSTGRES_16"
  region              = var.region
  deletion_protection = var.deletion_protection
  depends_on          = [google_service_networking_connection.database]

  settings {
    tier                        = "db-custom-2-7680"
    edition                     = "ENTERPRISE"
    availability_type           = "REGIONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = 20
    disk_autoresize             = true
    deletion_protection_enabled = var.deletion_protection

    ip_configuration {
      ipv4_enabled    = false
      private_network = data.google_compute_network.cluster.id
      ssl_mode        = "ENCRYPTED_ONLY"
    }

    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
    }
  }

  lifecycle {
    # Another name is another instance: one that was made under an older one keeps it.
    ignore_changes = [name]
  }
}

resource "google_sql_database" "nimbus" {
  name     = "nimbus"
  instance = google_sql_database_instance.database.name
}

resource "google_sql_user" "nimbus" {
  name     = "nimbus"
  instance = google_sql_database_instance.database.name
  password = random_password.database.result
}

variable "database_tls" {
  type        = string
  default     = "sslmode=require"
  description = "How the control plane connects to the database. The authority is the instance's own: without its file the connection is encrypted, and the certificate is not verified. GUIDE.md says how it is."
}

output "database_url" {
  description = "The address for the Secret of the control plane, with the password."
  value       = "postgres://nimbus:${random_password.database.result}@${google_sql_database_instance.database.private_ip_address}:5432/${google_sql_database.nimbus.name}?${var.database_tls}"
  sensitive   = true
}
