//! Apps on AWS: each function of a bundle as a Lambda function, its static files and manifest in a bucket of S3.
#![forbid(unsafe_code)]
