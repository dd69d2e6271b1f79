# A private bucket with versions, for backups; Google encrypts what is in it.
resource "random_id" "backups" {
  byte_length = 4
}

resource "google_storage_bucket" "backups" {
  name                        = "${var.name}-backups-${random_id.backups.hex}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.deletion_protection

  versioning {
    enabled = true
  }
}

output "backups" {
  description = "Where backups go."
  value       = google_storage_bucket.backups.url
}
