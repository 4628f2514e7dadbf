package rating

import "strings"

// meanings lists what a column can mean: the word by which a mapping names it, and
// the names by which carriers and other programs call it, in the form that
// plainName makes. Names that are used for several things are left out on purpose:
// "npanxx" and an "area code" alone lack the country code, "interstate rate" and
// "intrastate rate" are two prices for one prefix, "date" may be the day of the
// letter, and "from" and "to" may be hours.
var meanings = [columnCount]struct {
	word  string
	names []string
}{
	prefixColumn: {"prefix", split(`prefix prefixes code codes dialcode dialcodes dialingcode diallingcode
		dialprefix dialedprefix dialledprefix destinationcode destinationcodes destinationprefix destcode
		destprefix numberprefix callprefix e164prefix e164 e164code breakout breakouts completecode fullcode
		digits dstprefix dialpattern prefijo prefijos prefijodedestino codigodedestino codigodestino prefixo
		prefixos codigododestino vorwahl vorwahlen prafix praefix prefixe prefixes indicatif indicatifs
		codedestination`)},
	countryCodeColumn: {"country_code", split(`countrycode countrydialcode countrydialingcode cc ccode codigopais
		codigodepais codigodelpais codigodopais ddi landesvorwahl landervorwahl laendervorwahl landescode
		codepays indicatifpays`)},
	areaCodeColumn: {"area_code", split(`areacode areacodes citycode citycodes areacitycode cityareacode ndc regioncode
		localcode codigoarea codigodearea codigociudad codigodeciudad ddd codigocidade codigodacidade ortsvorwahl
		ortskennzahl indicatifregional indicatiflocal`)},
	rateColumn: {"rate", split(`rate rates rateperminute ratepermin ratemin rateminute rateusd usdrate
		rateusdmin rateminusd rateusdpermin rateusdperminute rateusdminute usdrateperminute perminuterate
		minuterate voicerate newrate newrateusd newprice price priceperminute pricepermin pricemin priceminute
		priceusd usdprice priceusdmin priceusdpermin priceusdperminute usdmin usdminute usdpermin usdperminute
		cost costperminute costpermin costmin costminute costusd costminusd costusdmin percostmin perminutecost
		permincost perminute permin rateinitial sellrate sellprice sellingrate callrate nextrate raten pricen
		pricenext ratenext tarifa tarifas precio precios precioporminuto preciominuto preciomin tarifaporminuto
		tarifaminuto tarifausd preciousd preciousdmin preco precos precoporminuto precominuto precomin precousd
		valorporminuto valorminuto preis preise preisprominute preisminute preismin preisusd preisusdmin
		minutenpreis tarif prix prixminute prixparminute prixmin prixusd prixusdmin tarifminute tarifparminute`)},
	firstRateColumn: {"first_rate", split(`initialrate firstrate rate1 price1 pricefirst ratefirst connectrate`)},
	firstIncrementColumn: {"first_increment", split(`firstincrement firstinc initialincrement initialinc minimumduration
		minduration minimumtime mintime firstinterval initialinterval firstperiod initialperiod minimumincrement
		mininc initial minimum min minimumbilling increment1 interval1 1st initblock initialblock firstblock
		connectincrement initialduration duration firstpulse initialpulse minimo duracionminima incrementoinicial
		duracaominima mindestdauer erstertakt dureeminimale premierincrement premierpalier`)},
	incrementColumn: {"increment", split(`increment increments inc nextincrement nextinc subsequentincrement
		additionalincrement billingincrement billingincrements billinginc billing billingterm billingterms
		billinginterval billingmethod billingcycle interval intervals next nth nextinterval subsequentinterval
		additionalinterval nextperiod nextblock billingblock talkincrement rateincrement rateincrements nextpulse
		pulse pulses pulserate billingpulse rounding increment2 intervaln interval2 intervals incremento
		incrementos tarificacion facturacion fraccionamiento fraccion cadencia tarifacao faturamento taktung takt
		abrechnungstakt abrechnung folgetakt facturation cadence palier paliers incrementsuivant`)},
	connectFeeColumn: {"connect_fee", split(`connectfee connectionfee connectcharge connectioncharge connectcost
		connectioncost setup setupfee setupcharge setupcost setuprate callsetupfee callsetup percallfee percall
		connectfeeusd connectionfeeusd setupfeeusd flagfall cargodeconexion costodeconexion costedeconexion
		establecimiento establecimientodellamada cargodeestablecimiento taxadeconexao verbindungsgebuhr
		verbindungsgebuehr verbindungsentgelt fraisdeconnexion fraisdemiseenrelation`)},
	// The first of these that a file has is the description.
	descriptionColumn: {"description", split(`description destinationname destinationdescription destination destinations
		name codename prefixname zone zonename country countryname destinationcountry location region area
		breakoutname descripcion destino nombre pais descricao nome beschreibung bezeichnung ziel zielname
		zielland land zielgebiet nom pays libelle`)},
	effectiveColumn: {"effective_date", split(`effectivedate effective effectivefrom effectivefromdate effectiveon
		effectiveat effectivedatetime effdate effectivetime dateeffective startdate start validfrom validfromdate
		activationdate datefrom datestart inforcefrom inforce startsat fechaefectiva fechadevigencia vigentedesde
		validodesde fechadeinicio fechainicio vigencia datadeinicio datainicio dataefetiva validoapartirde
		validode vigenciainicio gultigab gueltigab gultigvon gueltigvon startdatum abdatum wirksamab datedeffet
		dateeffet dateeffective valableapartirdu datededebut datedebut envigueur`)},
	endColumn: {"end_date", split(`enddate end expirydate expirationdate expires expiry expiredate validto
		validtodate validuntil validuntildate validtill validthru until till effectiveto effectivetill
		effectiveuntil effectiveend discontinuedate dateto dateend stopdate stop enddatum validohasta fechafin
		fechadefin hasta datafim datafinal datadefim validoate gultigbis gueltigbis bisdatum datefin datedefin
		valablejusquau`)},
	currencyColumn: {"currency", split(`currency curr ccy currencycode ratecurrency pricecurrency currencyiso moneda
		divisa moeda wahrung waehrung devise monnaie`)},
	statusColumn: {"status", split(`status change changes action changetype changestatus ratestatus codestatus
		pricechange ratechangetype changecode estado situacao etat statut zustand anderung aenderung cambio`)},
	blockedColumn: {"blocked", split(`blocked block forbidden discontinued deleted closed disabled barred removed
		suspended withdrawn inactive isblocked isdeleted bloqueado gesperrt bloque rejectcalls`)},
	enabledColumn: {"enabled", split(`enabled enable active isactive isenabled open allowed activo ativo aktiv actif`)},
	unitColumn: {"unit", split(`unit rateunit rateunits priceunit billingunit chargeunit chargingunit unidad
		unidade einheit unite`)},
	zeroColumn: {"zero", split(`freeseconds freesecs freetime includedseconds includedsecs gracetime
		graceperiod graceseconds grace additionalgrace minimaltimecharge disconnectcharge disconnectfee
		disconnectioncharge surcharge surchargeusd surchargefixed surchargepercent tax taxes vat vatpercent iva
		ust mwst tva taxpercent discount discountpercent discounts rebate markup stepcharge stepchargea
		stepchargeb stepchargec chargea chargeb chargec timechargea timechargeb timechargec billingblocka
		billingblockb billingblockc additionalblockcharge additionalblockcharge1 additionalblockcharge2
		additionalblockcharge3 announcetimecorrection dpmarginfixed dpmarginpercent packageoffer prepend strip
		leadstrip trailstrip groupintervalstart reversebilling postcallsurcharge intervalratesurcharge recargo
		descuento impuesto impuestos desconto imposto rabatt steuer zuschlag remise taxe`)},
	ignoredColumn: {"ignore", split(`note notes comment comments remark remarks observaciones observacoes bemerkung
		bemerkungen remarques id uuid rateid ratename rateplan rateplanname rateplanid ratedeck ratedeckname
		ratetable ratetablename ratecenter ratecentre ratecentername ratecentrename corporatename tag tags rowid
		rownumber no number nr serial sn sno operator operatorname carrier carriername provider providername
		vendor vendorname network networkname networktype numbertype destinationtype linetype destinationid
		destinationgroup continent subregion iso iso2 iso3 isocode countryiso countryid mcc mnc mccmnc lrn lata
		ocn statename county city timezone oldrate oldprice previousrate previousprice lastrate priorrate buyrate
		buyrateinitblock buyrateincrement buyprice createdat updatedat created updated lastmodified
		lastmodifieddate lastupdated modified creationdate insertdate inserteddate lastchange operadora operador
		anbieter operateur reseau netz rede red quality asr acd asrlimit acdlimit shortcallslimit accountid
		resellerid planid idplan idprefix idtrunk idtrunkgroup trunk trunkid trunkname priority precedence
		pricelist pricelistid pricelistname pricegroup ratepolicyid ratepolicy profitcontrolmode externalid
		dstnumberminlength dstnumbermaxlength routingtagmode routingtags lcrdirection lcruuid carrieruuid
		ratecountry`)},
}

func split(names string) []string { return strings.Fields(names) }

// meaningByName finds a meaning by a plain name.
var meaningByName = func() map[string]column {
	found := make(map[string]column)
	for meaning, m := range meanings {
		for _, name := range m.names {
			if _, known := found[name]; !known {
				found[name] = column(meaning)
			}
		}
	}
	return found
}()

// unaccented writes the letters of European languages by those of plain names.
var unaccented = strings.NewReplacer("$", "usd", "%", "percent", "á", "a", "à", "a", "â", "a", "ã", "a", "ä", "a",
	"ç", "c", "é", "e", "è", "e", "ê", "e", "ë", "e", "í", "i", "î", "i", "ï", "i", "ñ", "n", "ó", "o", "ô", "o",
	"õ", "o", "ö", "o", "ú", "u", "ù", "u", "û", "u", "ü", "u", "ß", "ss", "œ", "oe", "№", "no",
	"\u00a0", "", "’", "")

// plainName is a column's name without case, accents, spaces and punctuation:
// "Rate ($/min)" becomes "rateusdmin".
func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r < 0x80 {
			return -1
		}
		return r
	}, unaccented.Replace(strings.ToLower(name)))
}

// meaningOf is the meaning of a plain name, columnCount if it has none. The names
// of increments may end in their unit; those of prices may not, as a price per
// second is not one per minute.
func meaningOf(plain string) column {
	if plain == "" {
		return zeroColumn
	}
	if meaning, known := meaningByName[plain]; known {
		return meaning
	}
	for _, unit := range []string{"inseconds", "seconds", "insecs", "insec", "secs", "sec", "s"} {
		bare, ok := strings.CutSuffix(plain, unit)
		if !ok {
			continue
		}
		meaning, known := meaningByName[bare]
		if known && (meaning == firstIncrementColumn || meaning == incrementColumn || meaning == unitColumn) {
			return meaning
		}
	}
	return columnCount
}

// Words of the status of a row, as plain names.
var (
	inForceWords = wordSet(`active open opened enabled new newcode newrate unchanged nochange same current
		increase increased decrease decreased up down changed rateincrease ratedecrease priceincrease
		pricedecrease effective available ok valid added addition add codeaddition codeadded newdestination
		activo abierto nuevo sincambio aumento disminucion ativo novo aberto semalteracao reducao aktiv neu
		unverandert erhohung senkung actif nouveau ouvert inchange hausse baisse pendingincrease pendingdecrease`)
	withdrawnWords = wordSet(`blocked block closed close closing closure deleted delete deletion remove
		removed removal coderemoval coderemoved codedeleted codedeletion discontinued discontinue forbidden
		disabled inactive barred suspended stopped stop withdrawn end ended terminated expired cancelled canceled
		notavailable unavailable notoffered noservice noroute dropped obsolete bloqueado bloqueada cerrado
		cerrada eliminado eliminada baja suspendido inactivo inhabilitado prohibido fechado removido excluido
		inativo desativado suspenso proibido gesperrt geschlossen geloscht geloescht entfernt deaktiviert inaktiv
		gekundigt entfallt bloque bloquee ferme fermee supprime supprimee inactif desactive suspendu interdit
		retire`)
	yesWords = wordSet("1 true yes y t x on si sim ja oui")
	noWords  = wordSet("0 false no n f off nao nein non")
)

func wordSet(words string) map[string]bool {
	set := make(map[string]bool)
	for _, word := range strings.Fields(words) {
		set[word] = true
	}
	return set
}
