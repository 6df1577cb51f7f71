"""AWS: Lambda functions as targets of webhooks, and SQS as their queue, over aiobotocore."""
