locals {
  app = jsondecode(file(var.data))

  # A function's archive is a .zip, or a .jar for Java.
  archives = {
    for name, function in local.app.lambda_functions :
    name => fileexists("${var.bundle_dir}/${name}.jar") ? "${var.bundle_dir}/${name}.jar" : "${var.bundle_dir}/${name}.zip"
  }
}
