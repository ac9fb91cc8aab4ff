"""Words of captions by kind, chosen by hand: things, people and colours, for `foils.py` and `pointing.py`."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _groups(*groups: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(group.split()) for group in groups)


KINDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "animal": _groups(
        "dog puppy pup doggy hound greyhound spaniel terrier retriever poodle bulldog collie dalmatian husky labrador"
        " lab dachshund beagle corgi rottweiler pug shepherd mutt pitbull chihuahua labradoodle",
        "cat kitten kitty tabby",
        "horse pony foal stallion mare colt donkey mule",
        "cow bull calf ox bison buffalo",
        "sheep lamb ram ewe goat",
        "elephant",
        "bear cub panda",
        "zebra",
        "giraffe",
        "bird duck duckling goose swan seagull gull pigeon dove parrot macaw eagle hawk owl flamingo penguin chicken"
        " hen rooster ostrich peacock pelican crow sparrow heron egret stork robin toucan",
        "monkey ape gorilla chimpanzee baboon",
        "deer antelope gazelle gerenuk elk moose reindeer",
        "rabbit bunny hare",
        "camel llama alpaca",
    ),
    "vehicle": _groups(
        "car taxi cab sedan convertible minivan van jeep suv limousine automobile porsche",
        "truck lorry pickup van trailer jeep suv",
        "bus minibus van double-decker",
        "train locomotive tram subway carriage streetcar",
        "bicycle bike tricycle cycle bmx unicycle",
        "motorcycle bike motorbike scooter moped cycle dirtbike motocross",
        "boat ship sailboat canoe kayak raft ferry yacht rowboat dinghy vessel gondola",
        "airplane plane jet aircraft airliner aeroplane biplane helicopter",
    ),
    "sport": _groups(
        "frisbee disc disk",
        "skateboard board longboard skate",
        "surfboard board bodyboard",
        "snowboard board",
        "ball football basketball baseball softball volleyball soccer balloon",
        "kite",
    ),
    "instrument": _groups(
        "guitar banjo ukulele mandolin bass",
        "violin fiddle cello viola",
        "drum bongo percussion",
        "trumpet horn trombone tuba cornet saxophone euphonium",
        "piano keyboard organ",
        "flute clarinet recorder harmonica",
        "accordion",
        "harp",
    ),
    "furniture": _groups(
        "bench seat pew",
        "sofa couch settee loveseat",
        "bed mattress bunk crib cot",
        "toilet urinal loo",
        "bathtub bath tub",
    ),
    "food": _groups(
        "pizza flatbread",
        "sandwich burger hamburger sub bun toast bagel panini",
        "cake cupcake pastry pie tart muffin",
        "doughnut donut",
        "banana",
        "apple",
        "carrot",
        "egg omelette",
        "tomato",
        "lemon lime",
        "strawberry",
    ),
    "electronic": _groups(
        "laptop computer notebook macbook netbook",
        "television tv monitor screen",
        "phone cellphone mobile smartphone telephone iphone",
        "camera camcorder",
        "remote controller",
    ),
    "accessory": _groups(
        "umbrella parasol",
        "suitcase luggage briefcase bag case",
        "backpack bag rucksack pack knapsack",
        "handbag purse bag",
    ),
    "room": _groups("kitchen", "bathroom washroom restroom", "bedroom", "office"),
}
"""Countable nouns by kind, in groups whose first word is the common name.

Words of one group are synonyms, hyponyms, or too alike to be told apart; a word may be in several groups.
"""
GENERAL: dict[str, frozenset[str]] = {
    "animal": _words("animal pet creature livestock wildlife cattle herd"),
    "vehicle": _words("vehicle traffic transport parking"),
    "sport": _words("equipment gear"),
    "instrument": _words("instrument band orchestra"),
    "furniture": _words("furniture"),
    "food": _words("food meal dish snack dessert fruit vegetable breakfast lunch dinner"),
    "electronic": _words("device electronics gadget equipment"),
    "accessory": _words("luggage baggage"),
    "room": _words("studio loft"),
}
"""Words that may stand for any group of a kind."""
PEOPLE = _words(
    "man woman boy girl child person kid baby guy lady player toddler teenager adult skier snowboarder skateboarder"
    " surfer biker cyclist bicyclist motorcyclist rider racer climber hiker cowboy swimmer dancer runner worker soldier"
    " male female teen skater kayaker policeman officer bride groom batter catcher pitcher umpire referee goalkeeper"
    " boxer fighter musician singer guitarist friend mother father mom dad son daughter brother sister wife husband"
    " tourist performer athlete spectator pedestrian passenger opponent teammate owner someone somebody"
)
"""Nouns for one person."""
THINGS = _words(
    "shirt t-shirt tee top jacket hat cap collar shorts coat uniform helmet dress pants trousers jeans sweater skirt"
    " shoe scarf boot sock vest glove tie bikini swimsuit wetsuit suit outfit costume hoodie sweatshirt jersey headband"
    " apron wig robe sunglasses toy tent flag banner balloon kite sled slide ramp raft tunnel bucket cup mug bowl plate"
    " tray bottle vase box bag blanket towel rug carpet mat curtain cushion pillow sheet quilt bedspread tablecloth"
    " cloth chair armchair stool table desk lamp door wall fence roof building house sign awning sink fridge cupboard"
    " cabinet flower petal blossom bloom rose tulip leash rope harness guitar canopy parachute trampoline"
)
"""Other things that captions give a colour."""

AMBIGUOUS = _words(
    "screen monitor board seat case pack bag bath tub disc disk bass horn skate recorder sub bun toast mobile notebook"
    " cycle carriage vessel jet cub lab shepherd balloon percussion soccer football basketball baseball softball"
    " volleyball keyboard organ luggage subway trailer controller remote lime pew mattress crow robin camera"
)
"""Words of `KINDS` that also mean something else, and are not replaced."""

COLOURS: dict[str, tuple[str, ...]] = {
    "red": ("blue", "green", "yellow", "white", "black"),
    "blue": ("red", "yellow", "orange", "pink", "white"),
    "green": ("red", "orange", "pink", "purple", "white"),
    "yellow": ("red", "blue", "purple", "black"),
    "orange": ("blue", "green", "purple", "black", "white"),
    "pink": ("blue", "green", "yellow", "black"),
    "purple": ("green", "yellow", "orange", "white"),
    "brown": ("blue", "green", "white", "black"),
    "black": ("white", "red", "yellow", "green", "brown"),
    "white": ("black", "red", "blue", "green", "brown"),
    "grey": ("red", "green", "yellow", "brown"),
    "gray": ("red", "green", "yellow", "brown"),
}
"""Basic colours, and for each the ones that nobody mistakes it for."""
FUR = _words("black white brown")
"""The colours that an animal may be given: a blue dog would be told from the words alone."""
SHADES: dict[str, frozenset[str]] = {
    "red": _words("crimson scarlet maroon burgundy reddish ginger orange-red"),
    "blue": _words("navy turquoise teal bluish denim azure jeans blue-green"),
    "green": _words("olive turquoise teal lime greenish camouflage khaki"),
    "yellow": _words("golden gold blond blonde yellowish cream mustard"),
    "orange": _words("oranges ginger orange-red"),
    "pink": _words("rose magenta pinkish salmon fuchsia"),
    "purple": _words("violet lavender lilac mauve maroon magenta"),
    "brown": _words("tan beige bronze wooden chocolate brownish khaki chestnut"),
    "black": _words("dark blackish tuxedo"),
    "white": _words("cream ivory pale whitish snowy silver beige"),
}
"""Words that say a colour in another way."""
COLOURFUL = _words("colourful colorful multicoloured multicolored rainbow tie-dye tie-dyed patterned")
"""Words of pictures in which a thing may have any colour."""
