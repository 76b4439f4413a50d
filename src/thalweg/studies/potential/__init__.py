"""From the name or structure of a molecule or crystal to a potential that holds: frames, campaign, verdict, page."""
