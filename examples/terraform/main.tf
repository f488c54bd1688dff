# Deploys a bundle of a Mattermost app: its functions on Lambda, its static files and manifest in S3.
#
#   mainstay apps generate-terraform-data app.zip > app.json
#   unzip -d app app.zip
#   terraform apply -var data=app.json -var bundle_dir=app

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

data "aws_partition" "current" {}

resource "aws_iam_role" "execute" {
  name_prefix = "mattermost-app-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.execute.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

resource "aws_lambda_function" "function" {
  for_each = local.app.lambda_functions

  function_name    = each.value.name
  handler          = each.value.handler
  runtime          = each.value.runtime
  filename         = local.archives[each.key]
  source_code_hash = filebase64sha256(local.archives[each.key])
  role             = aws_iam_role.execute.arn
  timeout          = var.timeout
  memory_size      = var.memory

  environment {
    variables = var.environment
  }
}

resource "aws_s3_object" "static" {
  for_each = local.app.static_files

  bucket = var.bucket
  key    = each.value.key
  source = "${var.bundle_dir}/static/${each.key}"
  etag   = filemd5("${var.bundle_dir}/static/${each.key}")
}

# Last: Mattermost lists an app as soon as its manifest is there.
resource "aws_s3_object" "manifest" {
  bucket       = var.bucket
  key          = local.app.manifest_key
  source       = "${var.bundle_dir}/manifest.json"
  etag         = filemd5("${var.bundle_dir}/manifest.json")
  content_type = "application/json"

  depends_on = [aws_lambda_function.function, aws_s3_object.static]
}
