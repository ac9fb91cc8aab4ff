PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE encoder (
	id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	fingerprint VARCHAR NOT NULL, 
	dimension INTEGER NOT NULL, 
	active BOOLEAN NOT NULL, 
	path VARCHAR, 
	PRIMARY KEY (id), 
	UNIQUE (fingerprint)
);
INSERT INTO encoder VALUES(1,'fake','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',8,1,NULL);
INSERT INTO encoder VALUES(2,'other','0000000000000000000000000000000000000000000000000000000000000000',8,0,NULL);
CREATE TABLE root (
	path VARCHAR NOT NULL, 
	found BOOLEAN, 
	PRIMARY KEY (path)
);
INSERT INTO root VALUES('/tmp/holiday/pictures',0);
CREATE TABLE exclusion (
	folder VARCHAR NOT NULL, 
	patterns VARCHAR NOT NULL, 
	PRIMARY KEY (folder)
);
CREATE TABLE place (
	id INTEGER NOT NULL, 
	digest VARCHAR NOT NULL, 
	city VARCHAR, 
	region VARCHAR, 
	country VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (digest)
);
INSERT INTO place VALUES(1,'3e690e6fe945fe77b06a2c723f7461f74fc156c604d4ebe79a6e4b574568fc3b','Munich','Bavaria','Germany');
CREATE TABLE failure (
	path VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	size INTEGER NOT NULL, 
	mtime_ns INTEGER NOT NULL, 
	ctime_ns INTEGER, 
	PRIMARY KEY (path)
);
INSERT INTO failure VALUES('/tmp/holiday/pictures/damaged.jpg','damaged or truncated (it starts like a picture, but its header is invalid)',11,1700000000000000000,1795797046898070673);
CREATE TABLE edition (
	count INTEGER NOT NULL
);
INSERT INTO edition VALUES(12);
CREATE TABLE place_name (
	id INTEGER NOT NULL, 
	place_id INTEGER NOT NULL, 
	folded VARCHAR NOT NULL, 
	words VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(place_id) REFERENCES place (id) ON DELETE CASCADE
);
INSERT INTO place_name VALUES(1,1,'munich','munich');
INSERT INTO place_name VALUES(2,1,'lungsod ng muenchen','lungsod ng muenchen');
INSERT INTO place_name VALUES(3,1,'lungsod ng münchen','lungsod ng munchen');
INSERT INTO place_name VALUES(4,1,'minca','minca');
INSERT INTO place_name VALUES(5,1,'minche','minche');
INSERT INTO place_name VALUES(6,1,'minga','minga');
INSERT INTO place_name VALUES(7,1,'minhen','minhen');
INSERT INTO place_name VALUES(8,1,'minhene','minhene');
INSERT INTO place_name VALUES(9,1,'minkhen','minkhen');
INSERT INTO place_name VALUES(10,1,'miunchenas','miunchenas');
INSERT INTO place_name VALUES(11,1,'miwnix','miwnix');
INSERT INTO place_name VALUES(12,1,'mjunkhen','mjunkhen');
INSERT INTO place_name VALUES(13,1,'mnichov','mnichov');
INSERT INTO place_name VALUES(14,1,'mnichow','mnichow');
INSERT INTO place_name VALUES(15,1,'mníchov','mnichov');
INSERT INTO place_name VALUES(16,1,'monachium','monachium');
INSERT INTO place_name VALUES(17,1,'monacho','monacho');
INSERT INTO place_name VALUES(18,1,'monaco de baviera','monaco de baviera');
INSERT INTO place_name VALUES(19,1,'monaco di baviera','monaco di baviera');
INSERT INTO place_name VALUES(20,1,'monaco e baviera','monaco e baviera');
INSERT INTO place_name VALUES(21,1,'monacu','monacu');
INSERT INTO place_name VALUES(22,1,'monacu di baviera','monacu di baviera');
INSERT INTO place_name VALUES(23,1,'monacum','monacum');
INSERT INTO place_name VALUES(24,1,'muenchen','muenchen');
INSERT INTO place_name VALUES(25,1,'muenegh','muenegh');
INSERT INTO place_name VALUES(26,1,'muenhen','muenhen');
INSERT INTO place_name VALUES(27,1,'muenih','muenih');
INSERT INTO place_name VALUES(28,1,'munchen','munchen');
INSERT INTO place_name VALUES(29,1,'munhen','munhen');
INSERT INTO place_name VALUES(30,1,'munic','munic');
INSERT INTO place_name VALUES(31,1,'munich ed baviera','munich ed baviera');
INSERT INTO place_name VALUES(32,1,'munih','munih');
INSERT INTO place_name VALUES(33,1,'munike','munike');
INSERT INTO place_name VALUES(34,1,'munique','munique');
INSERT INTO place_name VALUES(35,1,'munix','munix');
INSERT INTO place_name VALUES(36,1,'munkeno','munkeno');
INSERT INTO place_name VALUES(37,1,'munkhen','munkhen');
INSERT INTO place_name VALUES(38,1,'munîh','munih');
INSERT INTO place_name VALUES(39,1,'mynihu','mynihu');
INSERT INTO place_name VALUES(40,1,'myunxen','myunxen');
INSERT INTO place_name VALUES(41,1,'myunxén','myunxen');
INSERT INTO place_name VALUES(42,1,'mònacu','monacu');
INSERT INTO place_name VALUES(43,1,'mùnich ëd baviera','munich ed baviera');
INSERT INTO place_name VALUES(44,1,'múnic','munic');
INSERT INTO place_name VALUES(45,1,'múnich','munich');
INSERT INTO place_name VALUES(46,1,'münchen','munchen');
INSERT INTO place_name VALUES(47,1,'münegh','munegh');
INSERT INTO place_name VALUES(48,1,'münhen','munhen');
INSERT INTO place_name VALUES(49,1,'münih','munih');
INSERT INTO place_name VALUES(50,1,'μόναχο','μοναχο');
INSERT INTO place_name VALUES(51,1,'минхен','минхен');
INSERT INTO place_name VALUES(52,1,'мюнхен','мюнхен');
INSERT INTO place_name VALUES(53,1,'мүнхен','мүнхен');
INSERT INTO place_name VALUES(54,1,'мүнхэн','мүнхэн');
INSERT INTO place_name VALUES(55,1,'мӱнхен','мунхен');
INSERT INTO place_name VALUES(56,1,'միւնիխ','միւնիխ');
INSERT INTO place_name VALUES(57,1,'մյունխեն','մյունխեն');
INSERT INTO place_name VALUES(58,1,'מינכן','מינכן');
INSERT INTO place_name VALUES(59,1,'مونخ','مونخ');
INSERT INTO place_name VALUES(60,1,'مونیخ','مونیخ');
INSERT INTO place_name VALUES(61,1,'ميونخ','ميونخ');
INSERT INTO place_name VALUES(62,1,'ميونيخ','ميونيخ');
INSERT INTO place_name VALUES(63,1,'میونخ','میونخ');
INSERT INTO place_name VALUES(64,1,'म्युन्शेन','म य न श न');
INSERT INTO place_name VALUES(65,1,'म्यूनिख','म य न ख');
INSERT INTO place_name VALUES(66,1,'মিউনিখ','ম উন খ');
INSERT INTO place_name VALUES(67,1,'ਮਿਊਨਿਕ','ਮ ਊਨ ਕ');
INSERT INTO place_name VALUES(68,1,'மியூனிக்','ம ய ன க');
INSERT INTO place_name VALUES(69,1,'ಮ್ಯೂನಿಕ್','ಮ ಯ ನ ಕ');
INSERT INTO place_name VALUES(70,1,'มิวนิก','ม ว น ก');
INSERT INTO place_name VALUES(71,1,'မြူးနစ်ချ်မြို့','မ န စ ခ မ');
INSERT INTO place_name VALUES(72,1,'მიუნხენი','მიუნხენი');
INSERT INTO place_name VALUES(73,1,'ሚዩኒክ','ሚዩኒክ');
INSERT INTO place_name VALUES(74,1,'ミュンヘン','ミ ュ ン ヘ ン');
INSERT INTO place_name VALUES(75,1,'慕尼黑','慕 尼 黑');
INSERT INTO place_name VALUES(76,1,'뮌헨','뮌 헨');
INSERT INTO place_name VALUES(77,1,'bavaria','bavaria');
INSERT INTO place_name VALUES(78,1,'bayern','bayern');
INSERT INTO place_name VALUES(79,1,'free state of bavaria','free state of bavaria');
INSERT INTO place_name VALUES(80,1,'germany','germany');
INSERT INTO place_name VALUES(81,1,'federal republic of germany','federal republic of germany');
INSERT INTO place_name VALUES(82,1,'brd','brd');
INSERT INTO place_name VALUES(83,1,'frg','frg');
INSERT INTO place_name VALUES(84,1,'duitsland','duitsland');
INSERT INTO place_name VALUES(85,1,'ألمانيا','المانيا');
INSERT INTO place_name VALUES(86,1,'германия','германия');
INSERT INTO place_name VALUES(87,1,'জার্মানি','জ র ম ন');
INSERT INTO place_name VALUES(88,1,'alemanya','alemanya');
INSERT INTO place_name VALUES(89,1,'německo','nemecko');
INSERT INTO place_name VALUES(90,1,'yr almaen','yr almaen');
INSERT INTO place_name VALUES(91,1,'tyskland','tyskland');
INSERT INTO place_name VALUES(92,1,'deutschland','deutschland');
INSERT INTO place_name VALUES(93,1,'γερμανία','γερμανια');
INSERT INTO place_name VALUES(94,1,'alemania','alemania');
INSERT INTO place_name VALUES(95,1,'saksamaa','saksamaa');
INSERT INTO place_name VALUES(96,1,'آلمان','المان');
INSERT INTO place_name VALUES(97,1,'saksa','saksa');
INSERT INTO place_name VALUES(98,1,'allemagne','allemagne');
INSERT INTO place_name VALUES(99,1,'an ghearmáin','an ghearmain');
INSERT INTO place_name VALUES(100,1,'alemaña','alemana');
INSERT INTO place_name VALUES(101,1,'גרמניה','גרמניה');
INSERT INTO place_name VALUES(102,1,'जर्मनी','जर मन');
INSERT INTO place_name VALUES(103,1,'njemačka','njemacka');
INSERT INTO place_name VALUES(104,1,'németország','nemetorszag');
INSERT INTO place_name VALUES(105,1,'jerman','jerman');
INSERT INTO place_name VALUES(106,1,'þýskaland','þyskaland');
INSERT INTO place_name VALUES(107,1,'germania','germania');
INSERT INTO place_name VALUES(108,1,'ドイツ','ド イ ツ');
INSERT INTO place_name VALUES(109,1,'გერმანია','გერმანია');
INSERT INTO place_name VALUES(110,1,'독일','독 일');
INSERT INTO place_name VALUES(111,1,'vokietija','vokietija');
INSERT INTO place_name VALUES(112,1,'vācija','vacija');
INSERT INTO place_name VALUES(113,1,'niemcy','niemcy');
INSERT INTO place_name VALUES(114,1,'alemanha','alemanha');
INSERT INTO place_name VALUES(115,1,'nemecko','nemecko');
INSERT INTO place_name VALUES(116,1,'nemčija','nemcija');
INSERT INTO place_name VALUES(117,1,'gjermani','gjermani');
INSERT INTO place_name VALUES(118,1,'немачка','немачка');
INSERT INTO place_name VALUES(119,1,'ujerumani','ujerumani');
INSERT INTO place_name VALUES(120,1,'ஜெர்மனி','ஜ ர மன');
INSERT INTO place_name VALUES(121,1,'เยอรมนี','เ ย อ ร ม น');
INSERT INTO place_name VALUES(122,1,'almanya','almanya');
INSERT INTO place_name VALUES(123,1,'німеччина','німеччина');
INSERT INTO place_name VALUES(124,1,'جرمنی','جرمنی');
INSERT INTO place_name VALUES(125,1,'đức','đuc');
INSERT INTO place_name VALUES(126,1,'德国','德 国');
INSERT INTO place_name VALUES(127,1,'德國','德 國');
CREATE TABLE image (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	content_hash VARCHAR NOT NULL, 
	width INTEGER NOT NULL, 
	height INTEGER NOT NULL, 
	format VARCHAR NOT NULL, 
	taken_at VARCHAR, 
	latitude FLOAT, 
	longitude FLOAT, 
	camera VARCHAR, 
	record VARCHAR, 
	record_version INTEGER DEFAULT 0 NOT NULL, 
	pixel_hash VARCHAR, 
	place_id INTEGER, 
	date_source VARCHAR, 
	UNIQUE (content_hash), 
	FOREIGN KEY(place_id) REFERENCES place (id)
);
INSERT INTO image VALUES(1,'5235c3b74444b46930e91938a3b3ba16ea8ece5687c57f07f6efcca7b20d51cf',40,48,'JPEG','2023-05-06T07:08:09',48.134999999999998009,11.574999999999999289,'Canon EOS 80D','{"taken_at": "2023-05-06T07:08:09", "latitude": 48.135, "longitude": 11.575, "camera": "Canon EOS 80D", "words": {"date_source": "picture"}}',1,'4439f27110c9b0fc303c1d677e5de0deafa25e1ed3aba835902f905d0ba7ef3c',1,'picture');
INSERT INTO image VALUES(2,'7276e64e1d8f08ad420e422d9eab91525ffe407a85d4021703df91c4ecaeb326',48,40,'PNG',NULL,NULL,NULL,NULL,'{"taken_at": null, "latitude": null, "longitude": null, "camera": null, "words": {}}',1,'d5a310c7283a58a4b392a834a237e8dfa4137856dd414fdd45549c9a7660b828',NULL,NULL);
INSERT INTO image VALUES(3,'476ac35dfe27ec2f3a69be73a1662f8a5718b1c76a15abe9557a5970f7fd65e7',48,40,'PNG',NULL,NULL,NULL,NULL,'{"taken_at": null, "latitude": null, "longitude": null, "camera": null, "words": {}}',1,'bb22e8006b70da8c63af4728244b9ead5647ed5c58d8960801f21ce7e3aa70f2',NULL,NULL);
INSERT INTO image VALUES(4,'ed68e617b309f43bbb6a9c0e5a7407067520dfabb4bcdc8d8068714edadbb77d',48,40,'PNG',NULL,NULL,NULL,NULL,'{"taken_at": null, "latitude": null, "longitude": null, "camera": null, "words": {}}',1,'7fe66af59f78e85e09f3d25c8f73135e61c933ba660d90b2098695efd1f8836e',NULL,NULL);
INSERT INTO image VALUES(5,'f3c96a043f91d44660a56b7974082578f9cb5885e511b7e0cb414fb4bd391997',48,40,'PNG',NULL,NULL,NULL,NULL,'{"taken_at": null, "latitude": null, "longitude": null, "camera": null, "words": {}}',1,'c988c722326160e79a071fdc9d5c003155117b5b2896197ea3702c18bed9b75d',NULL,NULL);
INSERT INTO image VALUES(6,'81ff52ca1f5cea8be522682faba0c2b0c8cd465635c6bb48ca57ed2d3bbcf2d1',48,40,'PNG',NULL,NULL,NULL,NULL,'{"taken_at": null, "latitude": null, "longitude": null, "camera": null, "words": {}}',1,'97daba38045422e7ebcd953f23276b04571208ee7a5e4a24ddb2f9a95a725b3a',NULL,NULL);
INSERT INTO image VALUES(7,'8dc5ce67fb163dd840e87e2305b6e0830dab941d43828c345a1af3bc39da3d0a',48,40,'PNG',NULL,NULL,NULL,NULL,'{"taken_at": null, "latitude": null, "longitude": null, "camera": null, "words": {}}',1,'bd85941c8874698395563d6b101e08aa587be84eeed791b448fc1fd199021e90',NULL,NULL);
CREATE TABLE embedding (
	encoder_id INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	item_id INTEGER NOT NULL, 
	vector BLOB NOT NULL, 
	PRIMARY KEY (encoder_id, kind, item_id), 
	FOREIGN KEY(encoder_id) REFERENCES encoder (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO embedding VALUES(1,'caption',1,X'7d247d247d2427372737273727372737');
INSERT INTO embedding VALUES(1,'caption',2,X'28345bb35bb382368236823682368236');
INSERT INTO embedding VALUES(1,'caption',3,X'f4adf4ad0d3009370937093709370937');
INSERT INTO embedding VALUES(1,'caption',4,X'28345bb35bb382368236823682368236');
INSERT INTO embedding VALUES(1,'caption',5,X'5bb35bb3283482368236823682368236');
INSERT INTO embedding VALUES(1,'image',1,X'9538953895b8542b542b542b542b542b');
INSERT INTO embedding VALUES(1,'image',2,X'95b895b89438552b552b552b552b552b');
INSERT INTO embedding VALUES(1,'image',3,X'943895389538562b562b562b562b562b');
INSERT INTO embedding VALUES(1,'image',4,X'95b895b894b8552b552b552b552b552b');
INSERT INTO embedding VALUES(1,'image',5,X'943895b895b8562b562b562b562b562b');
INSERT INTO embedding VALUES(1,'image',6,X'95b8943895b8552b552b552b552b552b');
INSERT INTO embedding VALUES(1,'image',7,X'95b8943895b8552b552b552b552b552b');
INSERT INTO embedding VALUES(2,'caption',1,X'7d247d247d2427372737273727372737');
INSERT INTO embedding VALUES(2,'caption',2,X'5bb328345bb382368236823682368236');
INSERT INTO embedding VALUES(2,'caption',3,X'0d30f4adf4ad09370937093709370937');
INSERT INTO embedding VALUES(2,'caption',4,X'5bb328345bb382368236823682368236');
INSERT INTO embedding VALUES(2,'caption',5,X'28345bb35bb382368236823682368236');
INSERT INTO embedding VALUES(2,'image',1,X'95b895389538542b542b542b542b542b');
INSERT INTO embedding VALUES(2,'image',2,X'943895b895b8552b552b552b552b552b');
INSERT INTO embedding VALUES(2,'image',3,X'953894389538562b562b562b562b562b');
INSERT INTO embedding VALUES(2,'image',4,X'94b895b895b8552b552b552b552b552b');
INSERT INTO embedding VALUES(2,'image',5,X'95b8943895b8562b562b562b562b562b');
INSERT INTO embedding VALUES(2,'image',7,X'95b895b89438552b552b552b552b552b');
CREATE TABLE tally (
	encoder_id INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	count INTEGER NOT NULL, 
	changes INTEGER NOT NULL, 
	PRIMARY KEY (encoder_id, kind), 
	FOREIGN KEY(encoder_id) REFERENCES encoder (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO tally VALUES(1,'caption',5,5);
INSERT INTO tally VALUES(1,'image',7,7);
INSERT INTO tally VALUES(2,'caption',5,5);
INSERT INTO tally VALUES(2,'image',6,6);
CREATE TABLE states (
	encoder_id INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	item_id INTEGER NOT NULL, 
	states BLOB NOT NULL, 
	PRIMARY KEY (encoder_id, kind, item_id), 
	FOREIGN KEY(encoder_id) REFERENCES encoder (id) ON DELETE CASCADE
);
INSERT INTO states VALUES(1,'image',1,X'1000080049bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b7f7f810d0d0d0d0d7f7f810d0d0d0d0d7f7f810d0d0d0d0d7f7f810d0d0d0d0d7f7f810d0d0d0d0d7f7f810d0d0d0d0d7f7f810d0d0d0d0d7f7f810d0d0d0d0d7f7f810d0d0d0d0d7f7f810d0d0d0d0d7f7f810d0d0d0d0d7f7f810d0d0d0d0d7f7f810d0d0d0d0d7f7f810d0d0d0d0d7f7f810d0d0d0d0d7f7f810d0d0d0d0d');
INSERT INTO states VALUES(1,'image',2,X'1000080049bd933b6b89943b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b81817f0d0d0d0d0d81827e0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d');
INSERT INTO states VALUES(1,'image',3,X'1000080049bd933b5b1d943b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b7f7f7f0d0d0d0d0d7e7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d');
INSERT INTO states VALUES(1,'image',4,X'10000800494c943b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b8182820d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d');
INSERT INTO states VALUES(1,'image',5,X'100008000668943b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b7d81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d');
INSERT INTO states VALUES(1,'image',6,X'1000080005a5943b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b817d820d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d');
INSERT INTO states VALUES(1,'image',7,X'1000080005a5943b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b817d820d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d');
INSERT INTO states VALUES(1,'caption',1,X'020008007eab663b7eab663b0505057f7f7f7f7f0505057f7f7f7f7f');
INSERT INTO states VALUES(1,'caption',2,X'030008007eab663b49bd933b7eab663b0505057f7f7f7f7f7f81810d0d0d0d0d0505057f7f7f7f7f');
INSERT INTO states VALUES(1,'caption',3,X'060008007eab663b49bd933b7eab663b7eab663b7eab663b7eab663b0505057f7f7f7f7f81817f0d0d0d0d0d0505057f7f7f7f7f0505057f7f7f7f7f0505057f7f7f7f7f0505057f7f7f7f7f');
INSERT INTO states VALUES(1,'caption',4,X'030008007eab663b49bd933b7eab663b0505057f7f7f7f7f7f81810d0d0d0d0d0505057f7f7f7f7f');
INSERT INTO states VALUES(1,'caption',5,X'030008007eab663b49bd933b7eab663b0505057f7f7f7f7f81817f0d0d0d0d0d0505057f7f7f7f7f');
INSERT INTO states VALUES(2,'image',1,X'1000080049bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b817f7f0d0d0d0d0d817f7f0d0d0d0d0d817f7f0d0d0d0d0d817f7f0d0d0d0d0d817f7f0d0d0d0d0d817f7f0d0d0d0d0d817f7f0d0d0d0d0d817f7f0d0d0d0d0d817f7f0d0d0d0d0d817f7f0d0d0d0d0d817f7f0d0d0d0d0d817f7f0d0d0d0d0d817f7f0d0d0d0d0d817f7f0d0d0d0d0d817f7f0d0d0d0d0d817f7f0d0d0d0d0d');
INSERT INTO states VALUES(2,'image',2,X'1000080049bd933b6b89943b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b7f81810d0d0d0d0d7e81820d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d7f81810d0d0d0d0d');
INSERT INTO states VALUES(2,'image',3,X'1000080049bd933b5b1d943b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b7f7f7f0d0d0d0d0d7f7e7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d7f7f7f0d0d0d0d0d');
INSERT INTO states VALUES(2,'image',4,X'10000800494c943b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b8281820d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d8181810d0d0d0d0d');
INSERT INTO states VALUES(2,'image',5,X'100008000668943b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b817d810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d817f810d0d0d0d0d');
INSERT INTO states VALUES(2,'image',7,X'1000080005a5943b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b49bd933b82817d0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d81817f0d0d0d0d0d');
INSERT INTO states VALUES(2,'caption',1,X'020008007eab663b7eab663b0505057f7f7f7f7f0505057f7f7f7f7f');
INSERT INTO states VALUES(2,'caption',4,X'030008007eab663b49bd933b7eab663b0505057f7f7f7f7f817f810d0d0d0d0d0505057f7f7f7f7f');
INSERT INTO states VALUES(2,'caption',2,X'030008007eab663b49bd933b7eab663b0505057f7f7f7f7f817f810d0d0d0d0d0505057f7f7f7f7f');
INSERT INTO states VALUES(2,'caption',5,X'030008007eab663b49bd933b7eab663b0505057f7f7f7f7f7f81810d0d0d0d0d0505057f7f7f7f7f');
INSERT INTO states VALUES(2,'caption',3,X'060008007eab663b49bd933b7eab663b7eab663b7eab663b7eab663b0505057f7f7f7f7f7f81810d0d0d0d0d0505057f7f7f7f7f0505057f7f7f7f7f0505057f7f7f7f7f0505057f7f7f7f7f');
CREATE TABLE location (
	id INTEGER NOT NULL, 
	path VARCHAR NOT NULL, 
	image_id INTEGER NOT NULL, 
	size INTEGER NOT NULL, 
	mtime_ns INTEGER NOT NULL, 
	sidecar_mtime_ns INTEGER, 
	missing_since VARCHAR, 
	ctime_ns INTEGER, 
	xmp_mtime_ns INTEGER, 
	excluded BOOLEAN, 
	folded VARCHAR DEFAULT '' NOT NULL, 
	words VARCHAR DEFAULT '' NOT NULL, 
	record VARCHAR, 
	PRIMARY KEY (id), 
	UNIQUE (path), 
	FOREIGN KEY(image_id) REFERENCES image (id) ON DELETE CASCADE
);
INSERT INTO location VALUES(1,'/tmp/holiday/pictures/2023/IMG_2034.jpg',1,879,1700000000000000000,NULL,NULL,1795797046898070673,NULL,NULL,'/tmp/holiday/pictures/2023/img_2034.jpg','tmp holiday pictures 2023 img 2034 jpg',NULL);
INSERT INTO location VALUES(2,'/tmp/holiday/pictures/2023/blue.png',2,141,1700000000000000000,1700000000000000000,NULL,1795797046898070673,NULL,NULL,'/tmp/holiday/pictures/2023/blue.png','tmp holiday pictures 2023 blue png',NULL);
INSERT INTO location VALUES(3,'/tmp/holiday/pictures/2023/white.png',3,139,1700000000000000000,NULL,NULL,1795797046898070673,NULL,NULL,'/tmp/holiday/pictures/2023/white.png','tmp holiday pictures 2023 white png',NULL);
INSERT INTO location VALUES(4,'/tmp/holiday/pictures/black.png',4,95,1700000000000000000,NULL,NULL,1795797046898070673,NULL,NULL,'/tmp/holiday/pictures/black.png','tmp holiday pictures black png',NULL);
INSERT INTO location VALUES(5,'/tmp/holiday/pictures/copy of red.png',5,141,1700000000000000000,NULL,NULL,1795797046898070673,NULL,NULL,'/tmp/holiday/pictures/copy of red.png','tmp holiday pictures copy of red png',NULL);
INSERT INTO location VALUES(6,'/tmp/holiday/pictures/gone.png',6,142,1700000000000000000,NULL,'2026-11-27T16:30:47+00:00',1795797046898070673,NULL,0,'/tmp/holiday/pictures/gone.png','tmp holiday pictures gone png',NULL);
INSERT INTO location VALUES(7,'/tmp/holiday/pictures/green.png',7,142,1700000000000000000,NULL,NULL,1795797046898070673,NULL,NULL,'/tmp/holiday/pictures/green.png','tmp holiday pictures green png',NULL);
INSERT INTO location VALUES(8,'/tmp/holiday/pictures/red.png',5,141,1700000000000000000,1700000000000000000,NULL,1795797046898070673,NULL,NULL,'/tmp/holiday/pictures/red.png','tmp holiday pictures red png',NULL);
CREATE TABLE unsettled (
	image_id INTEGER NOT NULL, 
	new BOOLEAN NOT NULL, 
	was_at VARCHAR, 
	PRIMARY KEY (image_id), 
	FOREIGN KEY(image_id) REFERENCES image (id) ON DELETE CASCADE
);
CREATE TABLE caption (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	text VARCHAR NOT NULL, 
	image_id INTEGER, 
	source VARCHAR NOT NULL, 
	language VARCHAR, 
	words VARCHAR DEFAULT '' NOT NULL, 
	FOREIGN KEY(image_id) REFERENCES image (id) ON DELETE CASCADE
);
INSERT INTO caption VALUES(1,'a wall',5,'sidecar',NULL,'a wall');
INSERT INTO caption VALUES(2,'a red square',5,'sidecar',NULL,'a red square');
INSERT INTO caption VALUES(3,'a blue square by the fjord',2,'sidecar',NULL,'a blue square by the fjord');
INSERT INTO caption VALUES(4,'a red thing',NULL,'bank',NULL,'a red thing');
INSERT INTO caption VALUES(5,'a blue thing',NULL,'bank',NULL,'a blue thing');
CREATE TABLE annotation (
	id INTEGER NOT NULL, 
	image_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	folded VARCHAR NOT NULL, 
	words VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(image_id) REFERENCES image (id) ON DELETE CASCADE
);
INSERT INTO annotation VALUES(1,1,'place','Munich','munich','munich');
INSERT INTO annotation VALUES(2,1,'place','Bavaria','bavaria','bavaria');
INSERT INTO annotation VALUES(3,1,'place','Germany','germany','germany');
PRAGMA writable_schema=ON;
INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','caption_words','caption_words',0,'CREATE VIRTUAL TABLE caption_words USING fts5(words, content=''caption'', content_rowid=''id'', tokenize=''porter unicode61 remove_diacritics 2'')');
CREATE TABLE IF NOT EXISTS 'caption_words_data'(id INTEGER PRIMARY KEY, block BLOB);
INSERT INTO caption_words_data VALUES(1,X'0511');
INSERT INTO caption_words_data VALUES(10,X'000000000105050005010101020101030101040101050101');
INSERT INTO caption_words_data VALUES(137438953473,X'00000013023061010202010477616c6c0102030406');
INSERT INTO caption_words_data VALUES(274877906945,X'0000001c023061020202010372656402020301057371756172020204040608');
INSERT INTO caption_words_data VALUES(412316860417,X'000000350230610302020104626c75650302030201790302050105666a6f7264030207010573717561720302040103746865030206040609060a0a');
INSERT INTO caption_words_data VALUES(549755813889,X'0000001c023061040202010372656404020301057468696e67040204040608');
INSERT INTO caption_words_data VALUES(687194767361,X'0000001d0230610502020104626c756505020301057468696e67050204040609');
CREATE TABLE IF NOT EXISTS 'caption_words_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
INSERT INTO caption_words_idx VALUES(1,X'',2);
INSERT INTO caption_words_idx VALUES(2,X'',2);
INSERT INTO caption_words_idx VALUES(3,X'',2);
INSERT INTO caption_words_idx VALUES(4,X'',2);
INSERT INTO caption_words_idx VALUES(5,X'',2);
CREATE TABLE IF NOT EXISTS 'caption_words_docsize'(id INTEGER PRIMARY KEY, sz BLOB);
INSERT INTO caption_words_docsize VALUES(1,X'02');
INSERT INTO caption_words_docsize VALUES(2,X'03');
INSERT INTO caption_words_docsize VALUES(3,X'06');
INSERT INTO caption_words_docsize VALUES(4,X'03');
INSERT INTO caption_words_docsize VALUES(5,X'03');
CREATE TABLE IF NOT EXISTS 'caption_words_config'(k PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO caption_words_config VALUES('version',4);
INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','location_words','location_words',0,'CREATE VIRTUAL TABLE location_words USING fts5(words, content=''location'', content_rowid=''id'', tokenize=''porter unicode61 remove_diacritics 2'')');
CREATE TABLE IF NOT EXISTS 'location_words_data'(id INTEGER PRIMARY KEY, block BLOB);
INSERT INTO location_words_data VALUES(1,X'082e');
INSERT INTO location_words_data VALUES(10,X'000000000108080008010101020101030101040101050101060101070101080101');
INSERT INTO location_words_data VALUES(137438953473,X'00000043053032303233010205030233340102070107686f6c696461690102030103696d6701020601036a706701020801067069637475720102040103746d700102020409070c08080b');
INSERT INTO location_words_data VALUES(274877906945,X'0000003c0530323032330202050104626c75650202060107686f6c69646169020203010670696374757202020402026e670202070103746d700202020409090c0b07');
INSERT INTO location_words_data VALUES(412316860417,X'0000003d0530323032330302050107686f6c69646169030203010670696374757203020402026e670302070103746d700302020105776869746503020604090c0b0708');
INSERT INTO location_words_data VALUES(549755813889,X'000000340630626c61636b0402050107686f6c69646169040203010670696374757204020402026e670402060103746d70040202040a0c0b07');
INSERT INTO location_words_data VALUES(687194767361,X'000000420530636f70690502050107686f6c6964616905020301026f66050206010670696374757205020402026e6705020801037265640502070103746d7005020204090c070b0708');
INSERT INTO location_words_data VALUES(824633720833,X'000000330530676f6e650602050107686f6c69646169060203010670696374757206020402026e670602060103746d7006020204090c0b07');
INSERT INTO location_words_data VALUES(962072674305,X'000000340630677265656e0702050107686f6c69646169070203010670696374757207020402026e670702060103746d70070202040a0c0b07');
INSERT INTO location_words_data VALUES(1099511627777,X'000000320830686f6c69646169080203010670696374757208020402026e6708020601037265640802050103746d70080202040c0b0708');
CREATE TABLE IF NOT EXISTS 'location_words_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
INSERT INTO location_words_idx VALUES(1,X'',2);
INSERT INTO location_words_idx VALUES(2,X'',2);
INSERT INTO location_words_idx VALUES(3,X'',2);
INSERT INTO location_words_idx VALUES(4,X'',2);
INSERT INTO location_words_idx VALUES(5,X'',2);
INSERT INTO location_words_idx VALUES(6,X'',2);
INSERT INTO location_words_idx VALUES(7,X'',2);
INSERT INTO location_words_idx VALUES(8,X'',2);
CREATE TABLE IF NOT EXISTS 'location_words_docsize'(id INTEGER PRIMARY KEY, sz BLOB);
INSERT INTO location_words_docsize VALUES(1,X'07');
INSERT INTO location_words_docsize VALUES(2,X'06');
INSERT INTO location_words_docsize VALUES(3,X'06');
INSERT INTO location_words_docsize VALUES(4,X'05');
INSERT INTO location_words_docsize VALUES(5,X'07');
INSERT INTO location_words_docsize VALUES(6,X'05');
INSERT INTO location_words_docsize VALUES(7,X'05');
INSERT INTO location_words_docsize VALUES(8,X'05');
CREATE TABLE IF NOT EXISTS 'location_words_config'(k PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO location_words_config VALUES('version',4);
INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','annotation_words','annotation_words',0,'CREATE VIRTUAL TABLE annotation_words USING fts5(words, content=''annotation'', content_rowid=''id'', tokenize=''porter unicode61 remove_diacritics 2'')');
CREATE TABLE IF NOT EXISTS 'annotation_words_data'(id INTEGER PRIMARY KEY, block BLOB);
INSERT INTO annotation_words_data VALUES(1,X'0303');
INSERT INTO annotation_words_data VALUES(10,X'000000000103030003010101020101030101');
INSERT INTO annotation_words_data VALUES(137438953473,X'0000000f07306d756e69636801020204');
INSERT INTO annotation_words_data VALUES(274877906945,X'0000001008306261766172696102020204');
INSERT INTO annotation_words_data VALUES(412316860417,X'0000001008306765726d616e6903020204');
CREATE TABLE IF NOT EXISTS 'annotation_words_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
INSERT INTO annotation_words_idx VALUES(1,X'',2);
INSERT INTO annotation_words_idx VALUES(2,X'',2);
INSERT INTO annotation_words_idx VALUES(3,X'',2);
CREATE TABLE IF NOT EXISTS 'annotation_words_docsize'(id INTEGER PRIMARY KEY, sz BLOB);
INSERT INTO annotation_words_docsize VALUES(1,X'01');
INSERT INTO annotation_words_docsize VALUES(2,X'01');
INSERT INTO annotation_words_docsize VALUES(3,X'01');
CREATE TABLE IF NOT EXISTS 'annotation_words_config'(k PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO annotation_words_config VALUES('version',4);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('image',7);
INSERT INTO sqlite_sequence VALUES('caption',5);
CREATE INDEX ix_place_name_words ON place_name (words);
CREATE INDEX ix_place_name_place_id ON place_name (place_id);
CREATE INDEX image_taken ON image (taken_at);
CREATE INDEX ix_image_pixel_hash ON image (pixel_hash);
CREATE INDEX ix_image_place_id ON image (place_id);
CREATE INDEX ix_location_image_id ON location (image_id);
CREATE INDEX location_folded ON location (folded);
CREATE INDEX location_missing ON location (image_id) WHERE missing_since IS NOT NULL;
CREATE UNIQUE INDEX caption_once ON caption (image_id, source, text);
CREATE UNIQUE INDEX bank_once ON caption (text) WHERE image_id IS NULL;
CREATE INDEX ix_annotation_image_id ON annotation (image_id);
CREATE INDEX annotation_value ON annotation (name, folded, image_id);
CREATE TRIGGER embedding_added AFTER INSERT ON embedding BEGIN
    INSERT INTO tally VALUES (new.encoder_id, new.kind, 1, 1)
    ON CONFLICT (encoder_id, kind) DO UPDATE SET count = count + 1, changes = changes + 1; END;
CREATE TRIGGER embedding_removed AFTER DELETE ON embedding BEGIN
    UPDATE tally SET count = count - 1, changes = changes + 1
    WHERE encoder_id = old.encoder_id AND kind = old.kind; END;
CREATE TRIGGER caption_words_added AFTER INSERT ON caption BEGIN INSERT INTO caption_words(rowid, words) VALUES (new.id, new.words); END;
CREATE TRIGGER caption_words_removed AFTER DELETE ON caption BEGIN INSERT INTO caption_words(caption_words, rowid, words) VALUES ('delete', old.id, old.words); END;
CREATE TRIGGER caption_words_changed AFTER UPDATE OF words ON caption BEGIN INSERT INTO caption_words(caption_words, rowid, words) VALUES ('delete', old.id, old.words); INSERT INTO caption_words(rowid, words) VALUES (new.id, new.words); END;
CREATE TRIGGER location_words_added AFTER INSERT ON location BEGIN INSERT INTO location_words(rowid, words) VALUES (new.id, new.words); END;
CREATE TRIGGER location_words_removed AFTER DELETE ON location BEGIN INSERT INTO location_words(location_words, rowid, words) VALUES ('delete', old.id, old.words); END;
CREATE TRIGGER location_words_changed AFTER UPDATE OF words ON location BEGIN INSERT INTO location_words(location_words, rowid, words) VALUES ('delete', old.id, old.words); INSERT INTO location_words(rowid, words) VALUES (new.id, new.words); END;
CREATE TRIGGER annotation_words_added AFTER INSERT ON annotation BEGIN INSERT INTO annotation_words(rowid, words) VALUES (new.id, new.words); END;
CREATE TRIGGER annotation_words_removed AFTER DELETE ON annotation BEGIN INSERT INTO annotation_words(annotation_words, rowid, words) VALUES ('delete', old.id, old.words); END;
CREATE TRIGGER annotation_words_changed AFTER UPDATE OF words ON annotation BEGIN INSERT INTO annotation_words(annotation_words, rowid, words) VALUES ('delete', old.id, old.words); INSERT INTO annotation_words(rowid, words) VALUES (new.id, new.words); END;
CREATE TRIGGER location_insert AFTER INSERT ON location BEGIN UPDATE edition SET count = count + 1; END;
CREATE TRIGGER location_update AFTER UPDATE ON location BEGIN UPDATE edition SET count = count + 1; END;
CREATE TRIGGER location_delete AFTER DELETE ON location BEGIN UPDATE edition SET count = count + 1; END;
PRAGMA writable_schema=OFF;
COMMIT;
PRAGMA user_version = 6;
