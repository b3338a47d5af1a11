"""What npformer teaches with: the museum of wrong gradients, the exercises, the referee on somebody's file."""
