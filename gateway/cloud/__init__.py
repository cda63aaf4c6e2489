"""The way to the cloud tier and its workers: Celery carries a reference, an object store the pictures and the answers.

Imported only where a cloud tier is configured: Celery, redis and obstore come with the extra [cloud].
"""
