"""The courier: one slow loop that goes to town for lists."""
