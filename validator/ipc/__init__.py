"""What passes between the gate's processes: requests and answers of the lane socket, and files."""
