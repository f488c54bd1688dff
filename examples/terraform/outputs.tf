output "functions" {
  description = "The functions that Mattermost must be allowed to invoke"
  value       = { for name, function in aws_lambda_function.function : name => function.arn }
}

output "manifest_key" {
  description = "Where Mattermost finds the manifest in the bucket"
  value       = local.app.manifest_key
}
