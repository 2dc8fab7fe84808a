"""The receiver: the web application that gates enrol at and upload reports and statuses to."""
