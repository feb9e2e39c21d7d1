"""A small programme for HTTP tests: points at once, two levels, two rewards, transfers allowed."""

HOLDS_FROM = "2011-01-01T00:00"

DOCUMENT = f"""
program: test-rewards
holds_from: "{HOLDS_FROM}"
timezone: Europe/London
currencies:
  points:
    worth: 0.01 GBP
    expires: {{after: 3 months, counted_from: earned, at: end_of_month}}
  status:
    qualifies: true
    window: {{rolling: 3 months}}
tiers:
  by: status
  levels:
    basic: {{from: 0}}
    silver: {{from: 100, benefits: {{priority-shipping: unlimited}}}}
    gold: {{from: 1000}}
  kept: {{for: 3 months}}
earn:
  base: {{event: purchase, give: {{points: 1 per 1.00 GBP, status: 1 per 1.00 GBP}}}}
  review: {{event: engagement, kind: product.reviewed, give: {{points: 50}}}}
  welcome: {{event: enrolled, give: {{points: 100}}}}
  friends:
    event: referral.qualified
    min_spend: 20.00 GBP
    give: {{points: 30}}
    friend: {{points: 20}}
badges: {{reviewer: {{names: {{en: Reviewer, de: Kritiker}}}}}}
stamps:
  three-reviews: {{event: engagement, collect: 3, within: 1 month, give: [reviewer]}}
  all-rooms: {{event: purchase, collect: 3, different: category, give: [birthday-cake]}}
rewards:
  five-off: {{cost: 500 points, names: {{en: Five off, de: Fünf weniger}}}}
  mug: {{cost: 80 points}}
  golden-pen: {{cost: 10 points, tier: [gold]}}
  birthday-cake: {{gift_only: true}}
transfers: {{allowed: true}}
spend_points: {{rate: 10 per 1.00 GBP, min: 20, step: 10, max_share: 50 %, hold: 15 minutes}}
returns: {{within: 1 day}}
adjustments: {{approval_above: 5000}}
pools: {{members: 3, may_spend: named}}
"""
