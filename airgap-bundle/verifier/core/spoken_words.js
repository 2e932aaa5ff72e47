/**
 * A fingerprint in words that are read aloud, as on the fingerprint sheet; written by tables.py, do not edit.
 *
 * Two syllables for even bytes, one for odd ones: a word left out, said twice or swapped breaks the rhythm.
 */

const EVEN = (
  "acorn agent album amber anchor angel ankle antler anvil apple apron arrow artist aspen atlas autumn " +
  "bacon badger baker bamboo banjo barley barrel basil basket beaver berry bison blanket blossom " +
  "bonfire border bracelet bramble bucket buckle button cabin cactus camel candle candy canoe canyon " +
  "carbon carpet carrot castle cavern cedar cello chapel cherry chimney cider circle citrus clover " +
  "cobalt cobra coffee collar comet compass copper coral cotton cougar cradle crayon cricket crystal " +
  "curtain cymbal dagger daisy dancer desert dinner dolphin donkey dragon eagle easel echo elbow engine " +
  "fabric falcon feather fiddle finger flannel forest fossil fountain freckle garden garlic gazelle " +
  "glacier goblet granite gravel guitar hammer hamster harbor harvest hazel helmet heron hockey honey " +
  "hornet hunter igloo insect island jacket jaguar jasmine jelly jewel jigsaw jungle kayak kettle " +
  "lantern laptop laurel lemon lentil leopard lettuce lily linen lizard lobster locket lotus lumber " +
  "magnet mammoth mango maple marble market meadow melon mirror muffin mushroom mustard nectar needle " +
  "nickel nutmeg ocean olive onion orange orbit orchard orchid otter oven oyster paddle palace panda " +
  "panther paper parade pasture peacock peanut pebble pencil penguin pepper pickle picnic pigeon pillow " +
  "pilot planet plaza pony poplar poppy powder prairie puzzle rabbit radar radish raisin ranger raven " +
  "ribbon river robin rooster rudder sailor salad salmon sandal sapphire satin saucer scissors sculptor " +
  "seagull shadow shovel shutter silver siren skillet spider spinach squirrel stable statue sunset " +
  "swallow sweater temple tennis thimble thunder tiger timber toaster tractor trumpet tulip tundra " +
  "tunnel turkey turtle valley velvet vessel wagon walnut walrus water whistle window winter zebra " +
  "zenith zipper"
).split(" ");
const ODD = (
  "ant ash axe badge ball band bark bath beach beak beard bed belt bench bird blade block blue boat " +
  "bolt bone book boot bowl box branch brick bridge broom brush bulb bus bush cage cake calf camp cape " +
  "card cart cat cave chalk cheese chest chin clay cliff clock cloth cloud club coat coin comb cone " +
  "cork corn couch crab crane crest crow cube cup curve dance dart desk dish dock dog door dove dress " +
  "drum duck dust earth east egg elf face farm fence fern fish fist flag flask flint flute fog fork " +
  "fort fox frame frog frost fruit gate gift glass globe glove goat gold grain grape green grid gulf " +
  "hand hat hawk hedge helm hill hook horn house ice ink jade jam jar jazz jeep jet judge juice jump " +
  "kite lake lamp lance land lark lawn leaf ledge leg lime loaf loft log lunch lung map mask mast match " +
  "milk mill mint moon moss mouse mouth mug nest net north nurse oak page paint palm park path pearl " +
  "pen phone pig pine pink pipe plant plum pond pool post purse quartz queen quilt ranch reef ridge " +
  "rock roof rope rug salt sand scarf school shark sheep shelf shell ship shirt shoe shrimp silk skate " +
  "sled smoke snail snow sock soup spade spark spoon spring square stamp star steam stem stone stool " +
  "storm straw string swan sword tank tent thumb toast torch track train tray tree truck tube vase vest " +
  "vine wall wax whale wheat wing wolf wood wrench yard yarn zinc zone zoo"
).split(" ");

/** One word for each byte. */
export function words(bytes) {
  return Array.from(bytes, (byte, at) => (at % 2 ? ODD : EVEN)[byte]);
}

/** The bytes of words in their order, or null when a word is not in its list. */
export function unwords(spoken) {
  const bytes = spoken.map((word, at) => (at % 2 ? ODD : EVEN).indexOf(word.toLowerCase()));
  return bytes.includes(-1) ? null : Uint8Array.from(bytes);
}
