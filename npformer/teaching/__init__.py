"""What npformer teaches with: the museum of wrong gradients, exercises, the referee on somebody's file."""
