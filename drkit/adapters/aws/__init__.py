"""AWS through boto3: sessions with deadlines, objects in S3, records in Route 53."""
