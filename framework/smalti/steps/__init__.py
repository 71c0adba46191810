"""The steps of the work: one public function each, values in, values out."""
