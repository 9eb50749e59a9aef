"""What a cloud looks like, as plain arrays: colours, camera, scene, raster. No Qt."""
